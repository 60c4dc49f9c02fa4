"""Payment discrepancy: a marketplace paid, charged or gave back something else than it should have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finance.models import Discrepancy
from finance.selectors import discrepancies
from tickets.detector import Category, Detector, Level, Look, Seen

Cause = Discrepancy.Cause

ACTIONS = {
    Cause.FEE_OVERCHARGED: gettext_lazy("Claim the difference, or enter the new rate if it is right."),
    Cause.FEE_UNDERCHARGED: gettext_lazy("Check the rule; the marketplace may charge the rest later."),
    Cause.PAYMENT_MISSING: gettext_lazy(
        "Open a case with the marketplace: delivered, past its payment term, in no statement."
    ),
    Cause.PART_MISSING: gettext_lazy("Ask the marketplace for the missing part."),
    Cause.CHARGED_TWICE: gettext_lazy("Claim the second charge."),
    Cause.PAID_TWICE: gettext_lazy("Expect it to be taken back; do not book it as revenue."),
    Cause.REFUND_FEE_WRONG: gettext_lazy("Claim the part of the fee the refund should have given back."),
    Cause.UNKNOWN_KIND: gettext_lazy("Say what this kind of line is, in the fee kind mappings."),
    Cause.HEADER_MISMATCH: gettext_lazy("Ask for the statement again; the unexplained line carries the difference."),
    Cause.PRICE_DIFFERS: gettext_lazy("Compare the order with the statement line."),
    Cause.UNEXPECTED: gettext_lazy("Find out what was charged; claim it or add a rule."),
    Cause.ROUNDING: gettext_lazy("Ask the marketplace how it rounds, or accept it until a day."),
    Cause.RATE_CHANGED: gettext_lazy("Accept the new rate as a rule from that day, or claim all of them."),
}


def find(look: Look) -> Iterator[Seen]:
    """One finding per discrepancy; alike ones (cause × site × kind × rate) share a ticket.

    A ticket below `minimum` of its currency only holds: such crumbs wait for the monthly basket.
    """
    horizon = look.now.date() + timedelta(days=int(look.limits["claim_days"]))
    for row in discrepancies.living().iterator(chunk_size=2000):
        settlement = row.settlement.settlement_ref if row.settlement else ""
        what = str(Cause(row.cause).label)
        soon = row.claim_until is not None and row.claim_until <= horizon
        yield Seen(
            check=row.cause,
            fingerprint=row.fingerprint,
            ticket_key=f"{row.account.code}:{row.group_key}",
            title=_("%(what)s: %(ref)s") % {"what": what, "ref": row.line_ref or row.order_ref or settlement},
            ticket_title=_("%(what)s, %(place)s") % {"what": what, "place": row.site or row.account.name},
            cause=row.note or what,
            action=str(ACTIONS.get(Cause(row.cause), "")),
            account_id=row.account_id,
            channel=row.account.channel,
            level=Level.OPEN if abs(row.amount) >= look.limits["minimum"] or not row.amount else Level.HOLD,
            amount=row.amount,
            currency=row.currency,
            deadline_at=datetime.combine(row.claim_until, time(0), tzinfo=UTC) if soon and row.claim_until else None,
            happened_at=datetime.combine(row.happened_on, time(0), tzinfo=UTC) if row.happened_on else None,
            refs={
                "order": row.order_ref,
                "line": row.line_ref,
                "settlement": settlement,
                "sku": row.seller_sku,
                "settlement_id": row.settlement_id,
                "settlement_line_id": row.settlement_line_id,
            },
            facts={"expected": _text(row.expected), "paid": _text(row.actual), "kind": row.kind, "event": row.event},
        )


def _text(amount: Decimal | None) -> str:
    return "–" if amount is None else str(amount)


payment_discrepancy = Detector(
    name="payment_discrepancy",
    label=gettext_lazy("Payment discrepancy"),
    category=Category.FINANCIAL,
    job="detect.payments",
    inputs=("orders", "settlements"),
    limits={"minimum": Decimal("0.05"), "claim_days": Decimal(14)},
    find=find,
)
