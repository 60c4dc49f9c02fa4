"""From open findings to tickets: one per key, capped per group with the rest counted, closed when nothing is left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, Q
from django.utils.translation import gettext

from domventas.core import bulk
from domventas.core.money import to_cents
from tickets.detector import Detector
from tickets.models import Finding, Ticket, TicketEvent, TicketGroup
from tickets.services.impact import Base

DETECTOR = "detector"
"""Who is said to have moved a ticket that no person moved."""

CAP = 10
"""Open tickets per type × account; what exceeds it is one counted row of the group."""

REOPEN_WITHIN = timedelta(days=14)
STAY_CLOSED = timedelta(days=7)
"""A ticket somebody closed although the condition held comes back after this long."""


@dataclass
class Change:
    """How many tickets a run opened, updated and resolved."""

    opened: int = 0
    updated: int = 0
    resolved: int = 0


@dataclass
class Bundle:
    """Open findings with one ticket key, added up."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def per_day(self) -> Decimal | None:
        known = [x.impact_day for x in self.findings if x.impact_day is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def deadline(self) -> datetime | None:
        known = [x.deadline_at for x in self.findings if x.deadline_at is not None]
        return min(known) if known else None

    @property
    def floor(self) -> str:
        """The gravest severity that one of them asks for; "" for none."""
        return min((x.severity_floor for x in self.findings if x.severity_floor), default="")

    @property
    def amounts(self) -> dict[str, str]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for finding in self.findings:
            if finding.amount is not None:
                sums[finding.currency] += finding.amount
        return {currency: str(to_cents(amount, currency)) for currency, amount in sorted(sums.items())}


def tickets(detector: Detector, titles: dict[str, str], *, base: Base, now: datetime) -> Change:
    """Bring the tickets of one type in line with its open findings. The number of queries does not grow with rows."""
    bundles: dict[str, Bundle] = defaultdict(Bundle)
    for finding in Finding.objects.filter(type=detector.name, state=Finding.State.OPEN).order_by("fingerprint"):
        bundles[finding.group_key].findings.append(finding)
    have = {ticket.fingerprint: ticket for ticket in _living(detector, now)}
    groups = _groups(detector, bundles, base)
    was = {key: ticket.state for key, ticket in have.items()}
    kept, overflow = _capped(bundles, have, now)
    change = Change()
    number = Ticket.objects.aggregate(top=Max("number"))["top"] or 0
    fresh: list[Ticket] = []
    moved: list[Ticket] = []
    for key in kept:
        bundle, ticket = bundles[key], have.get(key)
        if ticket is None:
            number += 1
            ticket = _open(detector, key, number, bundle, base, now)
            fresh.append(ticket)
            change.opened += 1
        elif _fill(ticket, bundle, base, now):
            moved.append(ticket)
            change.updated += 1
        ticket.group = groups.get(_group_key(bundle.first))
        ticket.title = titles.get(key, ticket.title or bundle.first.title)[:300]
    Ticket.objects.bulk_create(fresh)
    closed = [t for key, t in have.items() if key not in bundles and t.state != Ticket.State.RESOLVED]
    for ticket in closed:
        ticket.state, ticket.resolution, ticket.resolved_at = Ticket.State.RESOLVED, Ticket.Resolution.GONE, now
        ticket.changed_at = now
    change.resolved = len(closed)
    Ticket.objects.bulk_update(moved + closed, FILLED, batch_size=500)
    TicketEvent.objects.bulk_create(
        [event for ticket in [*fresh, *have.values()] if (event := _step(ticket, was.get(ticket.fingerprint), now))]
    )
    _attach(detector, {**have, **{t.fingerprint: t for t in fresh}}, kept)
    _count_overflow(bundles, overflow, groups, base)
    return change


FILLED = [
    "group", "account", "brand_id", "title", "cause", "action", "severity", "state", "resolution", "finding_count",
    "amounts", "impact_day", "deadline_at", "changed_at", "resolved_at", "snoozed_until",
]  # fmt: skip


def _step(ticket: Ticket, was: str | None, now: datetime) -> TicketEvent | None:
    """What the history says when a run moved the ticket to another state; `was` is None for a new one."""
    if was == ticket.state:
        return None
    match was, ticket.state:
        case None, _:
            what, detail = "opened", ticket.cause
        case _, Ticket.State.RESOLVED:
            what, detail = "resolved", gettext("The condition is gone.")
        case Ticket.State.RESOLVED, _:
            what, detail = "reopened", gettext("It is there again. %(cause)s") % {"cause": ticket.cause}
        case _:
            what, detail = (
                "woken",
                gettext("Its rest is over and it is still there. %(cause)s") % {"cause": ticket.cause},
            )
    return TicketEvent(ticket=ticket, what=what, detail=detail[:500], actor=DETECTOR, at=now)


def _living(detector: Detector, now: datetime) -> list[Ticket]:
    """Open tickets, and closed ones young enough to come back; the newest of a key wins."""
    recent = Q(state=Ticket.State.RESOLVED, resolved_at__gte=now - REOPEN_WITHIN)
    rows = Ticket.objects.filter(~Q(state=Ticket.State.RESOLVED) | recent, type=detector.name)
    return list(rows.order_by("number"))


def _capped(bundles: dict[str, Bundle], have: dict[str, Ticket], now: datetime) -> tuple[list[str], list[str]]:
    """Which keys have a ticket and which are only counted: at most CAP per group, the dearest first.

    What has an open ticket keeps it, also beyond the cap: one that rested wakes up beside those that came meanwhile.
    """
    per_group: dict[str, list[str]] = defaultdict(list)
    for key, bundle in bundles.items():
        ticket = have.get(key)
        if ticket is not None and _stays_closed(ticket, now):
            continue
        per_group[_group_key(bundle.first)].append(key)
    kept: list[str] = []
    overflow: list[str] = []
    for keys in per_group.values():
        keys.sort(key=lambda key: (key not in have, -(bundles[key].per_day or Decimal(0)), key))
        open_ones = [key for key in keys if key in have and have[key].state != Ticket.State.RESOLVED]
        others = [key for key in keys if key not in open_ones]
        room = max(CAP - len(open_ones), 0)
        kept += [*open_ones, *others[:room]]
        overflow += others[room:]
    return sorted(kept), sorted(overflow)


def _stays_closed(ticket: Ticket, now: datetime) -> bool:
    if ticket.state == Ticket.State.SNOOZED:
        return ticket.snoozed_until is not None and ticket.snoozed_until > now
    if ticket.state != Ticket.State.RESOLVED or ticket.resolution == Ticket.Resolution.GONE:
        return False
    return ticket.resolved_at is not None and ticket.resolved_at > now - STAY_CLOSED


def _group_key(finding: Finding) -> str:
    return f"{finding.account_id or 0}:{finding.brand_id or 0}"


def _groups(detector: Detector, bundles: dict[str, Bundle], base: Base) -> dict[str, TicketGroup]:
    keys = sorted({_group_key(bundle.first) for bundle in bundles.values()})
    rows = [(detector.name, key, str(detector.label)) for key in keys]
    bulk.upsert(TicketGroup, ("type", "key", "title"), rows, ("type", "key"))
    return {group.key: group for group in TicketGroup.objects.filter(type=detector.name)}


def _open(detector: Detector, key: str, number: int, bundle: Bundle, base: Base, now: datetime) -> Ticket:
    ticket = Ticket(
        type=detector.name,
        number=number,
        fingerprint=key,
        base_currency=base.currency,
        opened_at=now,
        changed_at=now,
    )
    _fill(ticket, bundle, base, now)
    return ticket


def _fill(ticket: Ticket, bundle: Bundle, base: Base, now: datetime) -> bool:
    """Put the bundle's figures on the ticket; True when that changed something."""
    first = bundle.first
    values = {
        "account_id": first.account_id,
        "brand_id": first.brand_id,
        "cause": first.cause,
        "action": first.action,
        "finding_count": len(bundle.findings),
        "amounts": bundle.amounts,
        "impact_day": base.rounded(bundle.per_day),
        "deadline_at": bundle.deadline,
        "severity": base.severity(bundle.per_day, bundle.deadline, at_least=bundle.floor),
    }
    if ticket.state == Ticket.State.RESOLVED or _awake(ticket, now):
        values |= {"state": Ticket.State.OPEN, "resolution": "", "resolved_at": None, "snoozed_until": None}
    changed = any(getattr(ticket, name) != value for name, value in values.items())
    for name, value in values.items():
        setattr(ticket, name, value)
    if changed:
        ticket.changed_at = now
    return changed


def _awake(ticket: Ticket, now: datetime) -> bool:
    return ticket.state == Ticket.State.SNOOZED and (ticket.snoozed_until is None or ticket.snoozed_until <= now)


def _attach(detector: Detector, by_key: dict[str, Ticket], kept: list[str]) -> None:
    """Findings know their ticket; written in one statement, only where it differs."""
    pairs = {by_key[key].pk: key for key in kept}
    loose = Finding.objects.filter(type=detector.name, state=Finding.State.OPEN, group_key__in=pairs.values())
    ticket_of = {key: pk for pk, key in pairs.items()}
    stale = [x for x in loose.only("pk", "group_key", "ticket_id") if x.ticket_id != ticket_of[x.group_key]]
    for finding in stale:
        finding.ticket_id = ticket_of[finding.group_key]
    Finding.objects.bulk_update(stale, ["ticket"], batch_size=1000)


def _count_overflow(
    bundles: dict[str, Bundle], overflow: list[str], groups: dict[str, TicketGroup], base: Base
) -> None:
    counted: dict[str, list[Bundle]] = defaultdict(list)
    for key in overflow:
        counted[_group_key(bundles[key].first)].append(bundles[key])
    changed = []
    for group in groups.values():
        rest = counted.get(group.key, [])
        impact = sum((base.rounded(bundle.per_day) or Decimal(0) for bundle in rest), Decimal(0))
        if (group.overflow_count, group.overflow_impact_day) != (len(rest), impact):
            group.overflow_count, group.overflow_impact_day = len(rest), impact
            changed.append(group)
    TicketGroup.objects.bulk_update(changed, ["overflow_count", "overflow_impact_day"], batch_size=500)
