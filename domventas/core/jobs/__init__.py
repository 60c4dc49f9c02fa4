"""Scheduled work: declared beside its function, fired into PostgreSQL, carried by Celery, counted before it begins."""

from domventas.core.jobs.declare import EVERY_CLIENT, PER_CLIENT, Job, Scope, scheduled
from domventas.core.jobs.outcomes import AWAY, Retry
from domventas.core.jobs.runner import Run

__all__ = ["AWAY", "EVERY_CLIENT", "PER_CLIENT", "Job", "Retry", "Run", "Scope", "scheduled"]
