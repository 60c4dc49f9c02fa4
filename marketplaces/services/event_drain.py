"""The drain: for each thing that waiting events name, the thing is fetched once and taken in like any answer.

What an event says about the thing is never stored; the fetched state is, and the newest of it wins by the source's
own time. So events may come late, twice and in any order.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction

from domventas.core import tenancy
from domventas.core.jobs import AWAY, firing
from domventas.core.jobs.runner import Superseded
from marketplaces.errors import BorderError, Forbidden, Later, Malformed, Refused, Unauthorized
from marketplaces.events import Effect
from marketplaces.models import Account, InboundEvent, ReportJob, Stream
from marketplaces.port import Flow, RawPage
from marketplaces.records import Drift, Rejected
from marketplaces.selectors import arrivals
from marketplaces.services import quarantine, reports, retries, rights, streams
from marketplaces.services.door import connector_of, open_door
from marketplaces.services.pages import Intake, Step

log = logging.getLogger(__name__)
State = InboundEvent.State

#: Events worked on at once.
BATCH: Final = 200
#: Tries of one event before people have to look.
MOST_ATTEMPTS: Final = arrivals.TRIES
#: A source that does not show the change yet is asked again this often; then the poll behind it is trusted.
LOOKS_FOR_CHANGE: Final = 3
#: Sources cut their times to whole seconds.
_ROUNDING: Final = timedelta(seconds=1)

# The lease grows with each attempt, 30 s to 1 h: it is the back-off, too, and what a dead worker leaves behind.
CLAIM = """
WITH due AS (
    SELECT id FROM marketplaces_inboundevent WHERE client_id = %(client)s AND account_id = %(account)s
        AND state = 'waiting' AND not_before <= %(now)s AND flow <> ALL(%(paused)s::text[])
    ORDER BY not_before, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
UPDATE marketplaces_inboundevent e SET attempts = attempts + 1,
    not_before = %(now)s::timestamptz + make_interval(secs => least(30 * 2 ^ least(attempts, 10), 3600))
FROM due WHERE e.id = due.id AND e.client_id = %(client)s
RETURNING e.id, e.effect, e.flow, e.ref, e.attempts, e.occurred_at
"""
END = """
UPDATE marketplaces_inboundevent SET state = %(state)s, ended_at = %(now)s, note = %(note)s,
    raw_id = coalesce(%(raw)s, raw_id)
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'waiting'
"""
LATER = """
UPDATE marketplaces_inboundevent SET note = %(note)s,
    state = CASE WHEN attempts >= %(most)s THEN 'failed' ELSE state END,
    ended_at = CASE WHEN attempts >= %(most)s THEN %(now)s::timestamptz END
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'waiting'
"""
GIVE_BACK = """
UPDATE marketplaces_inboundevent SET note = %(note)s, attempts = greatest(attempts - 1, 0), not_before = %(at)s
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'waiting'
"""


@dataclass(slots=True, kw_only=True)
class Drained:
    """What one round did, in events; `things` are the fetches they came down to.

    Attributes:
        retry_after: the marketplace asked us to wait so long; the events wait with us.
    """

    taken: int = 0
    things: int = 0
    done: int = 0
    later: int = 0
    failed: int = 0
    ignored: int = 0
    written: int = 0
    retry_after: timedelta | None = None


@dataclass(slots=True)
class _Thing:
    """All events of the batch that name one thing."""

    ref: str
    ids: list[int] = field(default_factory=list)
    attempts: int = 0
    occurred_at: datetime | None = None


def drain(account: Account, *, now: datetime, step: Step = transaction.atomic) -> Drained:
    """Work on a batch of the account's waiting events. Nothing is taken while the account or the flow is paused.

    Args:
        step: opens each writing transaction; a job puts its own, with its fence.

    Raises: Superseded: another worker has taken over. AWAY: a server of ours is, which another try may heal.
    """
    result = Drained()
    if account.status != Account.Status.ACTIVE:
        return result
    by_stream = {stream.flow: stream for stream in streams.ensure(account)}
    with step():
        groups = _claim(account, [flow for flow, stream in by_stream.items() if stream.is_paused], result, now=now)
    round_ = _Round(account, by_stream, result, now, step)
    for (effect, flow), things in groups.items():
        if effect == Effect.REPORT:
            round_.look(list(things.values()))
        else:
            round_.fetch(flow, list(things.values()))
    return result


def _claim(
    account: Account, paused: list[str], result: Drained, *, now: datetime
) -> dict[tuple[str, str], dict[str, _Thing]]:
    """Count an attempt of each event that is due, and put together those that name one thing."""
    known: dict[str, Any] = {
        "client": tenancy.current().one,
        "account": account.pk,
        "now": now,
        "paused": paused,
        "limit": BATCH,
    }
    groups: dict[tuple[str, str], dict[str, _Thing]] = {}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, known)
        rows = cursor.fetchall()
    for pk, effect, flow, ref, attempts, occurred_at in sorted(rows):
        thing = groups.setdefault((effect, flow), {}).setdefault(ref, _Thing(ref))
        thing.ids.append(pk)
        thing.attempts = max(thing.attempts, attempts)
        if occurred_at is not None:
            thing.occurred_at = max(thing.occurred_at or occurred_at, occurred_at)
    result.taken = len(rows)
    return groups


@dataclass(slots=True)
class _Round:
    """One batch of one account."""

    account: Account
    streams: dict[str, Stream]
    result: Drained
    now: datetime
    step: Step
    session: Any = None
    #: Which right the flow being worked on lacks, in words.
    lacks: str = ""

    def look(self, things: list[_Thing]) -> None:
        """Reports that are finished: those of ours are looked after now instead of at their next turn."""
        ours = ReportJob.objects.filter(stream__account=self.account, status__in=reports.OPEN)
        with self.step():
            under_way = dict(ours.values_list("pk", "report_ref"))
            known = {thing.ref for thing in things if any(_names(one, thing.ref) for one in under_way.values())}
            due = [pk for pk, one in under_way.items() if any(_names(one, ref) for ref in known)]
            ours.filter(pk__in=due).update(next_poll_at=self.now)
            for thing in things:
                self._end(thing, State.DONE if thing.ref in known else State.IGNORED, note="")
            if known:
                row = f"ingest.{self.account.channel}.reports_poll"
                firing.ensure_queued(row, account_id=self.account.pk, now=self.now)

    def fetch(self, flow_name: str, things: list[_Thing]) -> None:
        """Fetch things of one flow, several at once where the provider allows it."""
        flow, stream = connector_of(self.account).flows.get(flow_name), self.streams.get(flow_name)
        if flow is None or stream is None or flow.fetch_one is None:
            with self.step():
                for thing in things:
                    self._end(thing, State.IGNORED, note=f"nothing can be fetched by its number: {flow_name}")
            return
        if self.result.retry_after is not None or self.account.status != Account.Status.ACTIVE:
            self._give_back(things, self.now + (self.result.retry_after or timedelta()), "")
            return
        self.lacks = ""
        for chunk in _chunks(things, flow.at_once if flow.fetch_some else 1):
            if not self._take(flow, stream, chunk):
                rest = things[things.index(chunk[0]) :]
                wait = retries.RIGHT if self.lacks else self.result.retry_after or timedelta()
                self._give_back(rest, self.now + wait, self.lacks)
                return

    def _take(self, flow: Flow, stream: Stream, things: list[_Thing]) -> bool:
        """Fetch and store one answer, whatever comes of it; False when the marketplace wants no more of us now."""
        try:
            page = self._page(flow, [thing.ref for thing in things])
            intake = Intake(
                account=self.account, stream=stream, flow=flow, claim=None, now=self.now, step=self.step
            )  # fmt: skip
            intake.take(page, also=lambda raw_id: self._judge(flow, page, things, raw_id))
            self.result.things += len(things)
            self.result.written += intake.tally.written
        except (Superseded, SoftTimeLimitExceeded, *AWAY):
            raise
        except Later as error:
            self.result.retry_after = error.after
            return False
        except Forbidden as error:
            self.lacks = rights.missing(self.account, stream.flow, error)
            return False
        except Unauthorized as error:
            streams.sign_in_refused(self.account, streams.in_words(error), now=self.now)
            return False
        except Exception as error:
            if len(things) > 1 and isinstance(error, Refused | Malformed):
                return all(self._take(flow, stream, [thing]) for thing in things)  # one of them spoils the answer
            if not isinstance(error, BorderError):
                log.exception("%s: an event could not be worked on", self.account.code)
            with self.step():
                self._later(things, streams.in_words(error))
        return True

    def _page(self, flow: Flow, refs: Sequence[str]) -> RawPage:
        if self.session is None:
            self.session = connector_of(self.account).open(open_door(self.account, now=self.now))
        if flow.fetch_some is not None and len(refs) > 1:
            return flow.fetch_some(self.session, refs)
        if flow.fetch_one is None:
            raise TypeError("nothing of this flow can be fetched by its number")
        return flow.fetch_one(self.session, refs[0])

    def _judge(self, flow: Flow, page: RawPage, things: list[_Thing], raw_id: int) -> None:
        """In the transaction that stored the answer: which events it has answered, and which have to wait for more."""
        shown, bad, is_foreign = _versions(flow, page)
        for thing in things:
            if thing.ref in bad:
                self._end(thing, State.DONE, note="the record is in quarantine", raw_id=raw_id)
            elif is_foreign and len(things) == 1:
                self._end(thing, State.IGNORED, note="the answer holds nothing of ours", raw_id=raw_id)
            elif thing.ref not in shown:
                self._later([thing], "The marketplace does not show it (yet).")
            elif _lags(thing, shown[thing.ref]) and thing.attempts < LOOKS_FOR_CHANGE:
                self._later([thing], "The marketplace shows an older state than it told of.")
            else:
                self._end(thing, State.DONE, note="", raw_id=raw_id)

    def _end(self, thing: _Thing, state: State, *, note: str, raw_id: int | None = None) -> None:
        _run(END, thing.ids, now=self.now, state=state.value, note=note[:500], raw=raw_id)
        name = "done" if state == State.DONE else "ignored"
        setattr(self.result, name, getattr(self.result, name) + len(thing.ids))

    def _later(self, things: list[_Thing], note: str) -> None:
        for thing in things:
            _run(LATER, thing.ids, now=self.now, note=note[:500], most=MOST_ATTEMPTS)
            name = "failed" if thing.attempts >= MOST_ATTEMPTS else "later"
            setattr(self.result, name, getattr(self.result, name) + len(thing.ids))

    def _give_back(self, things: list[_Thing], at: datetime, note: str) -> None:
        """These were not tried: no attempt counts."""
        with self.step():
            _run(GIVE_BACK, [pk for thing in things for pk in thing.ids], note=note, at=at)
        self.result.later += sum(len(thing.ids) for thing in things)


def _versions(flow: Flow, page: RawPage) -> tuple[dict[str, datetime | None], set[str], bool]:
    """The source's own time of each thing on a page, what of it cannot be read, and whether it is all no concern."""
    shown: dict[str, datetime | None] = {}
    bad: set[str] = set()
    drifts = 0
    for item in flow.translate(page):
        if isinstance(item, Rejected):
            bad.add(item.external_id)
        elif isinstance(item, Drift):
            drifts += 1
        else:
            shown[quarantine.ref_of(item)] = getattr(item, "updated_at", None)
    return shown, bad, bool(drifts and not shown and not bad)


def _names(report_ref: str, ref: str) -> bool:
    """Whether a reading of ours waits for this report: one reading may be several reports, `5001@DE;5002@FR`."""
    return re.search(rf"(?<!\w){re.escape(ref)}(?!\w)", report_ref) is not None


def _lags(thing: _Thing, shown: datetime | None) -> bool:
    """The event tells of a change that the answer does not show: the source's copies do not agree yet."""
    return shown is not None and thing.occurred_at is not None and shown < thing.occurred_at - _ROUNDING


def _chunks(things: list[_Thing], size: int) -> Iterator[list[_Thing]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _run(sql: str, ids: list[int], **values: Any) -> None:
    with connection.cursor() as cursor:
        known: dict[str, Any] = {"client": tenancy.current().one, "ids": ids}
        cursor.execute(sql, known | values)
