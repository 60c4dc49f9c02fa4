"""The Celery application with the jobs that suffer; for the children of fault tests alone."""

from __future__ import annotations

from domventas.celery import app

app.conf.imports = ("domventas.tests.faults.jobs", "domventas.tests.faults.mutants")
