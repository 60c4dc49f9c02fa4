"""Runs a detector: from what it sees to findings that open, hold, are suppressed, and go away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from domventas.core import bulk
from domventas.core.models import Client, Threshold
from domventas.core.money import to_cents
from domventas.core.tenancy import current
from domventas.core.times import zone
from marketplaces.models import Account
from marketplaces.selectors import freshness
from tickets.detector import Detector, Level, Look, Seen
from tickets.models import DetectorRun, Finding, StartingPosition
from tickets.registry import DETECTORS
from tickets.services import gather, impact

WORSE = Decimal("1.2")
"""A finding of the starting position opens when its money has grown by a fifth."""

COLUMNS = (
    "type", "check_code", "fingerprint", "group_key", "account", "brand_id", "level", "title", "cause", "action",
    "refs", "facts", "amount", "currency", "impact_day", "severity_floor", "deadline_at", "happened_at", "state",
    "streak",
    "healthy_streak", "first_seen_at", "last_seen_at",
)  # fmt: skip


@dataclass
class Outcome:
    """Counts of one run, as `detect --json` prints them."""

    found: int = 0
    opened: int = 0
    updated: int = 0
    resolved: int = 0
    suppressed: int = 0
    stale: list[str] = field(default_factory=list)


def run_all(*, now: datetime, only: Iterable[str] = ()) -> dict[str, Outcome]:
    """Run every detector (or `only` these types) for the client we act for. Raises: KeyError for an unknown type."""
    wanted = sorted(only) or sorted(DETECTORS)
    return {name: run(DETECTORS[name], now=now) for name in wanted}


@transaction.atomic
def run(detector: Detector, *, now: datetime) -> Outcome:
    """Run one detector once. Running it again at the same moment changes nothing but the streaks."""
    _lock()
    accounts = {account.pk: account for account in Account.objects.all()}
    stale = freshness.stale_accounts(detector.inputs, now=now)
    seen = _seen(detector, now=now, leave_out=stale)
    before = {finding.fingerprint: finding for finding in Finding.objects.filter(type=detector.name)}
    started = set(StartingPosition.objects.filter(type=detector.name).values_list("account_id", flat=True))
    starting = {pk for pk in accounts if detector.takes_position and pk not in started and pk not in stale}
    base = impact.Base.load(now=now)

    outcome = Outcome(found=len(seen), stale=sorted(accounts[pk].code for pk in stale if pk in accounts))
    rows = [_next_row(detector, item, before.get(key), starting, base, now) for key, item in seen.items()]
    gone = [x for x in before.values() if x.fingerprint not in seen and x.account_id not in stale]
    rows += [row for finding in gone if (row := _fade(detector, finding))]
    bulk.upsert(Finding, COLUMNS, rows, ("type", "fingerprint"))
    _take_positions(detector, seen.values(), starting, now)

    titles = {item.ticket_key: item.ticket_title for item in seen.values()}
    change = gather.tickets(detector, titles, base=base, now=now)
    outcome.opened, outcome.updated, outcome.resolved = change.opened, change.updated, change.resolved
    outcome.suppressed = sum(bool(item.suppressed_by) for item in seen.values())
    DetectorRun.objects.create(type=detector.name, started_at=now, ended_at=now, **outcome.__dict__)
    return outcome


def _lock() -> None:
    """Let runs of one client go one after the other: tickets are numbered without gaps, findings opened once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"detect {current().one}"])


def limits_of(detector: Detector) -> dict[str, Decimal]:
    """The detector's limits: its defaults, overridden by the client's thresholds."""
    codes = {f"{detector.name}.{code}": code for code in detector.limits}
    rows = Threshold.objects.filter(code__in=codes, scope_kind="").values_list("code", "value")
    return {**detector.limits, **{codes[code]: value for code, value in rows}}


def _seen(detector: Detector, *, now: datetime, leave_out: set[int]) -> dict[str, Seen]:
    look = Look(now=now, limits=limits_of(detector))
    with timezone.override(zone(Client.objects.get(pk=current().one).zone)):  # for the times that findings name
        return {x.fingerprint: x for x in detector.find(look) if x.account_id not in leave_out}


def _next_row(
    detector: Detector, item: Seen, was: Finding | None, starting: set[int], base: impact.Base, now: datetime
) -> tuple[object, ...]:
    """The finding as it stands after this run, in the order of COLUMNS."""
    per_day = item.impact_day if item.impact_day is not None else base.per_day(item.amount, item.currency)
    alive = was is not None and was.state != Finding.State.GONE
    streak = was.streak + 1 if was is not None and alive else 1
    state = _state(detector, item, was if alive else None, streak, starting)
    amount, currency = item.amount, item.currency
    if was is not None and alive and state == was.state == Finding.State.STARTING and was.amount is not None:
        # Held against what it was at the start, or what grows a little every day would never open.
        amount, currency, per_day = was.amount, was.currency, was.impact_day
    return (
        detector.name, item.check, item.fingerprint, item.ticket_key, item.account_id, item.brand_id, item.level.value,
        item.title[:300], item.cause[:300], item.action[:300], dict(item.refs), dict(item.facts), amount,
        currency, per_day, item.severity, item.deadline_at, item.happened_at, state, streak, 0,
        was.first_seen_at if was is not None and alive else now, now,
    )  # fmt: skip


def _state(detector: Detector, item: Seen, was: Finding | None, streak: int, starting: set[int]) -> str:
    if item.suppressed_by:
        return Finding.State.SUPPRESSED
    if was is not None and was.state == Finding.State.OPEN:
        return Finding.State.OPEN
    if was is not None and was.state == Finding.State.STARTING and not _worse(item, was):
        return Finding.State.STARTING
    if item.account_id in starting:
        return Finding.State.STARTING
    if item.level is Level.OPEN and streak >= detector.open_after:
        return Finding.State.OPEN
    return Finding.State.WATCHED


def _worse(item: Seen, was: Finding) -> bool:
    if item.amount is None or was.amount is None or item.level is not Level.OPEN:
        return False
    if item.currency != was.currency:
        return False
    return bool(abs(item.amount) > abs(was.amount) * WORSE)


def _fade(detector: Detector, finding: Finding) -> tuple[object, ...] | None:
    """One healthy run for a finding that was not seen; gone after `close_after` of them."""
    if finding.state == Finding.State.GONE:
        return None
    healthy = finding.healthy_streak + 1
    state = Finding.State.GONE if healthy >= detector.close_after else finding.state
    values = {name: getattr(finding, "account_id" if name == "account" else name) for name in COLUMNS}
    values |= {"state": state, "healthy_streak": healthy, "streak": 0}
    return tuple(values.values())


def _take_positions(detector: Detector, seen: Iterable[Seen], starting: set[int], now: datetime) -> None:
    """The first run on an account writes down what it found instead of opening tickets."""
    count: Counter[int] = Counter()
    money: dict[int, dict[str, Decimal]] = {pk: {} for pk in starting}
    for item in seen:
        if item.account_id in starting and item.account_id is not None:
            count[item.account_id] += 1
            if item.amount is not None:
                sums = money[item.account_id]
                sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.amount
    rows = [
        (
            detector.name,
            pk,
            now,
            count[pk],
            {currency: str(to_cents(amount, currency)) for currency, amount in money[pk].items()},
        )
        for pk in sorted(starting)
    ]
    bulk.upsert(StartingPosition, ("type", "account", "taken_at", "count", "amounts"), rows, ("type", "account"))
