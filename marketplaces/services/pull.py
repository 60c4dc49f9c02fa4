"""The pull engine: plan what is missing, fetch it page by page, and write nothing that the next start could not repeat.

A failure of one stream is recorded in words and touches no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from domventas.core.jobs import AWAY
from domventas.core.jobs.runner import Superseded
from marketplaces.errors import BorderError, Later, Malformed
from marketplaces.models import Account
from marketplaces.services import quarantine, streams
from marketplaces.services.claims import Busy, claim
from marketplaces.services.door import connector_of
from marketplaces.services.pages import Step
from marketplaces.services.reader import Pulled, Reader
from marketplaces.services.reports import read_reports

log = logging.getLogger(__name__)


def pull_stream(
    account: Account,
    flow_name: str,
    *,
    now: datetime,
    since: datetime | None = None,
    start: bool = True,
    hurry: bool = False,
    due_only: bool = False,
    step: Step = transaction.atomic,
    sleep: Callable[[float], None] = time.sleep,
    told: Callable[[str], None] = lambda text: None,
) -> Pulled:
    """Read one flow of one account up to now, from where it stopped, and fill its gaps.

    Args:
        since: read again from here on, whether it counts as read or not.
        start: begin new reports; without it only those under way are asked for.
        hurry: ask for every report under way, also those that are not due yet.
        due_only: leave a stream alone that was told to wait and has not waited long enough.
        step: opens the transaction of a page; a job puts its own.
        told: hears about each page, in words.

    Returns: what was done; errors are in it and on the stream, not raised.
    Raises: Superseded: somebody else has claimed the stream. AWAY: a server of ours is, which another try may heal.
    """
    result = Pulled(account=account.code, flow=flow_name)
    connector = connector_of(account)
    stream = next((x for x in streams.ensure(account) if x.flow == flow_name), None)
    if stream is None or stream.is_paused or account.status != Account.Status.ACTIVE:
        result.state = "off"
        return result
    if due_only and stream.not_before is not None and stream.not_before > now:
        result.state = "held"
        return result
    try:
        with claim(stream, now=now) as held:
            reader = Reader(
                account=account, stream=stream, connector=connector, flow=connector.flows[flow_name], held=held,
                now=now, since=since, start=start, hurry=hurry, step=step, sleep=sleep, told=told, result=result,
            )  # fmt: skip
            _read(reader)
    except Busy:
        result.state = "busy"
    return result


def _read(reader: Reader) -> None:
    """Read, and sort what went wrong."""
    result = reader.result
    try:
        if reader.flow.reports is not None:
            read_reports(reader)
        elif reader.flow.snapshot:
            reader.read_snapshot()
        else:
            reader.read_windows()
    except (Superseded, SoftTimeLimitExceeded, *AWAY):
        raise
    except Exception as error:
        if not isinstance(error, BorderError):
            log.exception("%s %s failed", reader.account.code, reader.stream.flow)
        failure = streams.failed(reader.account, reader.held, error, now=reader.now)
        result.state = "waiting" if isinstance(error, Later) else "failed"
        result.error, result.error_kind, result.retry_after = failure.words, failure.kind, failure.wait
        if result.state == "failed":
            reader.close_log(error=result.error)
        if isinstance(error, Malformed):
            quarantine.put_answer(reader.stream, error, now=reader.now)
    else:
        if result.state == "done" and not reader.is_idle:
            quarantine.resolve_answers(reader.stream, now=reader.now)
            streams.succeeded(reader.held, complete_until=reader.complete_until(), now=reader.now)
