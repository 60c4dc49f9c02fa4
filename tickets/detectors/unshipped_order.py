"""Unshipped orders: one ticket per wave that will not be done in time, and one for each order outside the flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from domventas.core import times
from domventas.core.calendars import Calendar
from marketplaces.models import OutboxCommand
from orders.selectors import unshipped
from orders.selectors.confirmations import Confirmed, Told, confirmations
from orders.selectors.unshipped import Odds, Waiting, Wave
from tickets.detector import Category, Detector, Look, Seen

NOTHING: Final = Decimal(0)
#: A late order costs the account's standing, whatever it is worth: that is why waves have a severity of their own.
SEVERITY: Final = {Odds.FINE: "", Odds.SLOW: "S2", Odds.LOST: "S1"}
#: A parcel nobody there knows of is an order not shipped: the nearer its ship-by, the graver.
SOON: Final = timedelta(hours=4)
WITHIN_A_DAY: Final = timedelta(hours=24)
LONGEST_DAY: Final = timedelta(hours=25)
State = OutboxCommand.State
#: Where it is put right: on the order's page, or among its parcels.
WHERE: Final[dict[str, Callable[[Waiting], dict[str, object]]]] = {
    "order": lambda row: {"where": "order", "where_row": row.order_id},
    "parcels": lambda row: {"where": "parcels", "where_only": {"q": row.ref}},
}


def find(look: Look) -> Iterator[Seen]:
    """Each waiting order once: in its wave, or by itself when it is held, late, not accepted in time, or when we have
    confirmed it and its marketplace does not take that.

    What is packed and told is in no wave: nobody has to do anything for it any more. A wave whose first order comes
    within the horizon is told whole, so that its day has one number.
    """
    until = look.now + timedelta(hours=float(look.limits["horizon_hours"]))
    told = confirmations()
    stuck = _stuck(told, look)
    rows = unshipped.waiting(until=until + LONGEST_DAY, also=stuck)
    near = {_wave_key(row) for row in rows if row.ship_by is not None and row.ship_by < until}
    opens, closes = (time(min(int(look.limits[name]), 23)) for name in ("opens", "closes"))
    calendars = unshipped.calendars(((row.zone, row.country) for row in rows), opens=opens, closes=closes)
    flowing: list[Waiting] = []
    for row in rows:
        calendar = calendars[row.zone, row.country]
        if row.status == "to_accept":
            yield from _accept(row, calendar, look)
        elif row.order_id in stuck:
            yield _unconfirmed(row, stuck[row.order_id], look)
        elif row.ship_by is None:
            continue  # nobody promised anything yet
        elif row.ship_by >= until and (row.hold or _wave_key(row) not in near):
            continue
        elif row.ship_by < look.now:
            yield _late(row, calendar, look)
        elif row.hold:
            yield _held(row, calendar, look)
        elif row.order_id not in told or told[row.order_id].left:
            flowing.append(row)
    held = Counter(_wave_key(row) for row in rows if row.hold and row.ship_by is not None and row.ship_by >= look.now)
    for wave in unshipped.waves(flowing, calendars, now=look.now):
        yield from _wave(wave, held[_wave_key(wave.orders[0])])


def _wave_key(row: Waiting) -> tuple[int, str, date | None]:
    """Whose wave the order would leave in."""
    return row.account_id, row.site, times.day_in(row.zone, row.ship_by) if row.ship_by else None


def _stuck(told: Mapping[int, Confirmed], look: Look) -> dict[int, Told]:
    """By order: the parcel that was refused, given up, or has been on its way for too long."""
    before = look.now - timedelta(minutes=float(look.limits["confirm_minutes"]))
    found = {pk: confirmed.stuck(before=before) for pk, confirmed in told.items()}
    return {pk: parcel for pk, parcel in found.items() if parcel is not None}


def _unconfirmed(row: Waiting, parcel: Told, look: Look) -> Seen:
    """Shipped by us, not shipped for the marketplace: told with its own words.

    What was never sent has one cause for all orders of the account, which is a technical issue; once it makes an
    order late, the order is told as well.
    """
    cause, action = _unconfirmed_words(parcel)
    left = row.ship_by - look.now if row.ship_by else WITHIN_A_DAY
    is_late = left < timedelta(0)
    never_sent = parcel.state == State.WAITING and not parcel.attempts
    return _seen(
        row, "confirmation", _("Not confirmed: %(order)s") % {"order": row.ref}, cause, action,
        severity="S1" if left < SOON else "S2" if left < WITHIN_A_DAY else "S3",
        suppressed_by="technical_issue" if never_sent and not is_late else "",
        facts={"parcel": parcel.number, "confirmation": parcel.state}, where="parcels",
    )  # fmt: skip


def _unconfirmed_words(parcel: Told) -> tuple[str, str]:
    told = {"number": parcel.number, "words": parcel.message}
    match parcel.state:
        case State.REFUSED:
            return _("The marketplace refused parcel %(number)d: %(words)s") % told, _(
                "Mend what it names and confirm the parcel anew on the order's page; if it is wrong, send it again."
            )
        case State.GIVEN_UP:
            return _("Telling of parcel %(number)d was given up: %(words)s") % told, _(
                "Look at the order on the marketplace's own site; if it is not shipped there, send it again."
            )
        case State.WAITING:
            return _("Parcel %(number)d waits to be told. %(words)s") % told, _(
                "See on Writing back why nothing leaves; it goes out by itself afterwards."
            )
    return _("Nobody knows yet whether parcel %(number)d was taken: %(words)s") % told, _(
        "It is looked up by itself; where it is urgent, look at the order on the marketplace's own site."
    )


def _wave(wave: Wave, held: int) -> Iterator[Seen]:
    """The orders of a wave: all of one ticket, which is information until it is a problem.

    So many more of its day are `held`: they are none of it, and its words say so, as nobody must pack them.
    """
    first, count = wave.orders[0], len(wave.orders)
    told = {"count": count, "day": wave.day.isoformat(), "site": first.site}
    title = ngettext(
        "%(count)d order to ship by %(day)s, %(site)s", "%(count)d orders to ship by %(day)s, %(site)s", count
    )
    title %= told
    cause, action = _wave_words(wave)
    if held:
        title += ngettext("; %(held)d more is held", "; %(held)d more are held", held) % {"held": held}
        more = ngettext(
            "Not among them: %(held)d order of that day that waits for an unknown offer and must not leave.",
            "Not among them: %(held)d orders of that day that wait for an unknown offer and must not leave.", held,
        )  # fmt: skip
        cause = f"{cause} {more % {'held': held}}"
    for row in wave.orders:
        yield _seen(
            row, "wave", _("To ship: %(order)s") % {"order": row.ref}, cause, action,
            key=f"wave:{first.account}:{first.site}:{wave.day}", ticket_title=title,
            impact_day=NOTHING if wave.odds is Odds.FINE else None, severity=SEVERITY[wave.odds],
            facts={"left in the wave": count, "held besides": held, "working hours left": f"{wave.left:.1f}"},
        )  # fmt: skip


def _wave_words(wave: Wave) -> tuple[str, str]:
    if wave.pace.usual is None:
        return _("Normal work; there is no pace yet to judge by."), _("Pack and confirm.")
    told = {"pace": f"{wave.pace.usual:.1f}", "hours": f"{wave.left:.1f}", "days": wave.pace.days}
    if wave.odds is Odds.FINE:
        return _("Normal work: %(pace)s orders an hour, %(hours)s working hours left.") % told, _("Pack and confirm.")
    done = wave.pace.best if wave.odds is Odds.LOST else wave.pace.usual
    missed = len(wave.orders) - int((done or NOTHING) * wave.left)
    cause = _("At %(pace)s orders an hour (the last %(days)d such days) the %(hours)s working hours left are too few.")
    if wave.odds is Odds.LOST:
        cause = _("Even at the best pace of the last %(days)d such days the %(hours)s working hours left are too few.")
    action = _("Put more hands on it, or choose the %(count)d that will be late and tell the buyers.")
    return cause % told, action % {"count": max(missed, 1)}


def _late(row: Waiting, calendar: Calendar, look: Look) -> Seen:
    """Past its ship-by: every further day costs the account's health."""
    assert row.ship_by is not None  # noqa: S101 - only such come here
    hours = calendar.working_time(row.ship_by, look.now).total_seconds() / 3600
    cause = _("Its ship-by passed %(hours).0f working hours ago.") % {"hours": hours}
    if row.hold:
        cause = _("Held (%(hold)s), and its ship-by has passed.") % {"hold": row.hold}
    action = _("Ship it now and confirm, or cancel it before the marketplace does.")
    return _seen(row, "late", _("Late: %(order)s") % {"order": row.ref}, cause, action, severity="S2")


def _held(row: Waiting, calendar: Calendar, look: Look) -> Seen:
    """Must not go yet, while its clock runs; the offer nobody knows has a ticket of its own."""
    assert row.ship_by is not None  # noqa: S101 - only such come here
    left = calendar.working_time(look.now, row.ship_by)
    soon = left < timedelta(hours=float(look.limits["held_hours"]))
    return _seen(
        row, "held", _("Held: %(order)s") % {"order": row.ref},
        _("On hold (%(hold)s) with %(hours).0f working hours left.")
        % {"hold": row.hold, "hours": left.total_seconds() / 3600},
        _("Map the offer; the order is released by itself."),
        severity="S2" if soon else "", suppressed_by="missing_product_data" if row.hold == "unmapped" else "",
    )  # fmt: skip


def _accept(row: Waiting, calendar: Calendar, look: Look) -> Iterator[Seen]:
    """An order the marketplace will refuse by itself unless we accept it: told at half of its window."""
    waited = calendar.working_time(row.ordered_at, look.now)
    window = timedelta(hours=float(look.limits["accept_hours"]))
    if waited * 2 >= window:
        over = waited >= window
        yield _seen(
            row, "accept", _("To accept: %(order)s") % {"order": row.ref},
            _("Waits for our acceptance for %(hours).0f working hours.") % {"hours": waited.total_seconds() / 3600},
            _("Accept or refuse it in the seller portal; unanswered it is refused."),
            severity="S1" if over else "S2",
        )  # fmt: skip


def _seen(
    row: Waiting, check: str, title: str, cause: str, action: str, *, key: str = "", ticket_title: str = "",
    impact_day: Decimal | None = None, severity: str = "", suppressed_by: str = "",
    facts: dict[str, object] | None = None, where: str = "order",
) -> Seen:  # fmt: skip
    return Seen(
        check=check, fingerprint=f"{row.account}:{row.ref}", ticket_key=key or f"{check}:{row.account}:{row.ref}",
        title=title, ticket_title=ticket_title or title, cause=cause, action=action, account_id=row.account_id,
        channel=row.channel, amount=row.value, currency=row.currency if row.value is not None else "",
        impact_day=impact_day, severity=severity, deadline_at=row.ship_by, happened_at=row.ordered_at,
        suppressed_by=suppressed_by, refs={"order": row.ref, "order_id": row.order_id, **WHERE[where](row)},
        facts={"site": row.site, "status": row.status, **(facts or {})},
    )  # fmt: skip


unshipped_order = Detector(
    name="unshipped_order",
    label=gettext_lazy("Unshipped orders"),
    category=Category.ORDERS,
    job="detect.unshipped",
    inputs=("orders",),
    limits={
        "horizon_hours": Decimal(48), "held_hours": Decimal(10), "accept_hours": Decimal(10), "opens": Decimal(8),
        "closes": Decimal(18), "confirm_minutes": Decimal(30),
    },
    find=find,
    close_after=1,
)  # fmt: skip
