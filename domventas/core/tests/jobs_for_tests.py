"""Jobs that only the tests declare: one that works in steps, one that fails, one that asks to come back."""

from __future__ import annotations

from django.db import connection

from domventas.core.jobs import Retry, Run, scheduled
from domventas.core.models import Threshold

STEPS = 3


@scheduled("test.steps", "*/5 * * * *", queue="realtime", soft=20, retries=2)
def steps(run: Run) -> None:
    """Write one row per step; a second attempt goes on where the first one stopped."""
    for number in range(run.progress.get("step", 0), STEPS):
        with run.step({"step": number + 1}, done=number + 1 == STEPS):
            Threshold.objects.create(code=f"test.{run.id}.{number}", scope_kind="", scope_ref="", value=number)


@scheduled("test.fails", "*/5 * * * *", queue="realtime", soft=20, retries=2)
def fails(run: Run) -> None:
    """Fail every time."""
    raise ValueError("this job fails")


@scheduled("test.readonly", "*/5 * * * *", queue="realtime", soft=20, retries=1)
def readonly(run: Run) -> None:
    """Meet a server that can only be read, as a standby is, on the first attempt."""
    if run.attempt == 1:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
    with run.step(done=True):
        pass


@scheduled("test.later", "*/5 * * * *", queue="realtime", soft=20)
def later(run: Run) -> None:
    """Ask to be run again in a minute."""
    raise Retry(60, "not ready")
