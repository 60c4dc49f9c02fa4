"""Scheduled runs of the detectors."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core.jobs import Run, scheduled
from tickets.registry import DETECTORS
from tickets.services import engine


def run_job(job: str) -> None:
    """Run every detector that belongs to a job of the timetable."""
    for name, detector in DETECTORS.items():
        if detector.job == job:
            engine.run(DETECTORS[name], now=clock())


@scheduled("detect.payments", "25 6 * * *", queue="reports", soft=600, freshness=timedelta(hours=26))
def detect_payments(run: Run) -> None:
    """Payment discrepancies, daily after the night's settlements."""
    run_job("detect.payments")


@scheduled("detect.data_completeness", "17 * * * *", queue="reports", soft=600, freshness=timedelta(hours=2))
def detect_data_completeness(run: Run) -> None:
    """Unknown offers that were sold or settled, hourly."""
    run_job("detect.data_completeness")


@scheduled("detect.unshipped", "*/10 * * * *", queue="realtime", soft=300, freshness=timedelta(minutes=30))
def detect_unshipped(run: Run) -> None:
    """Waves that will not be done in time, and orders outside the flow."""
    run_job("detect.unshipped")


@scheduled("detect.technical", "3-59/15 * * * *", queue="realtime", soft=300, freshness=timedelta(minutes=45))
def detect_technical(run: Run) -> None:
    """What does not run, arrive or get through, by account and flow."""
    run_job("detect.technical")
