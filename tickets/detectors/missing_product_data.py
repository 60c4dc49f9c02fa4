"""Missing product data: something was sold, settled or listed under an id that belongs to none of our SKUs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.selectors import unmapped
from tickets.detector import Category, Detector, Look, Seen


def find(look: Look) -> Iterator[Seen]:
    """One finding per unknown offer; its clock is the first ship-by of an order that waits for it."""
    horizon = look.now + timedelta(hours=float(look.limits["clock_hours"]))
    for offer in unmapped.unknown_offers():
        name = offer.seller_sku or offer.offer_ref
        held = offer.waiting_count > 0
        action = (
            _("Map it to %(sku)s (%(reason)s) or to another SKU.")
            % {"sku": offer.candidate, "reason": offer.candidate_reason}
            if offer.candidate
            else _("Map it to a SKU, or create the SKU first.")
        )
        yield Seen(
            check="unknown_offer",
            fingerprint=f"{offer.account_code}:{offer.offer_ref}:{offer.currency}",
            ticket_key=f"unmapped:{offer.account_code}:{offer.offer_ref}",
            title=_("%(name)s: unknown offer on %(lines)d order lines") % {"name": name, "lines": offer.line_count},
            ticket_title=_("Unknown offer %(name)s") % {"name": name},
            cause=_("No SKU carries this seller SKU, EAN or offer id."),
            action=action,
            account_id=offer.account_id,
            channel=offer.channel,
            amount=offer.value,
            currency=offer.currency,
            impact_day=None if held else Decimal(0),
            deadline_at=offer.ship_by if held and offer.ship_by and offer.ship_by < horizon else None,
            happened_at=offer.first_order_at,
            refs={"sku": offer.seller_sku, "offer": offer.offer_ref, "item_id": offer.item_id},
            facts={"order lines": offer.line_count, "waiting to ship": offer.waiting_count, "title": offer.title},
        )


missing_product_data = Detector(
    name="missing_product_data",
    label=gettext_lazy("Missing product data"),
    category=Category.CATALOG,
    job="detect.data_completeness",
    inputs=("orders",),
    limits={"clock_hours": Decimal(72)},
    find=find,
    close_after=1,
)
