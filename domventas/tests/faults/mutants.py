"""FAULT_MUTANT takes one safeguard out of a child process, to prove that the tests see what happens without it."""

from __future__ import annotations

import os

from domventas.core.jobs import beat, runner

MUTANT = os.environ.get("FAULT_MUTANT", "")
if MUTANT == "fence":  # whoever writes, writes
    runner.STEP = runner.STEP.replace("AND attempt = %(attempt)s AND state = 'running'", "")
if MUTANT == "lock":  # everybody believes to be alone
    runner.LOCK = "SELECT true"
if MUTANT == "count":  # starts are never counted
    runner.CLAIM = runner.CLAIM.replace("starts = starts + (starts < %(most)s)::int,", "")
if MUTANT == "leader":  # every beat believes to lead
    beat.LOCK = "SELECT true"
