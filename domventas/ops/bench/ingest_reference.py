"""The references of bench `ingest`: the ORM as its handbook shows it. They look up nothing that ours has to find out.

They never write events, exceptions or what a marketplace no longer names, so they have less to do than ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from catalog.models import Listing
from domventas.ops.bench.data import NOW
from marketplaces.models import Account, Site
from marketplaces.records import BuyerRecord, OrderLineRecord, OrderRecord
from orders.models import BuyerContact, Order, OrderCharge, OrderLine
from orders.services import facts

_CONTACT = tuple(BuyerRecord.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Known:
    """Sites and listings, looked up once for the whole run."""

    account: Account
    sites: dict[str, Site]
    listings: dict[tuple[int, str], tuple[int, int | None]]

    @classmethod
    def load(cls) -> Known:
        """From the database, before anything is timed."""
        rows = Listing.objects.values_list("site_id", "offer_ref", "pk", "sku_id")
        return cls(
            Account.objects.get(),
            {site.code: site for site in Site.objects.filter(channel="amazon")},
            {(site, offer): (pk, sku) for site, offer, pk, sku in rows},
        )

    def order(self, record: OrderRecord) -> dict[str, Any]:
        """Columns of an order but its key."""
        values = facts.order_values(record, self.sites[record.site], facts.totals(record))
        named = dict(zip(facts.ORDER_COLUMNS, values, strict=True))
        named["site_id"] = named.pop("site")
        return named

    def line(self, record: OrderRecord, line: OrderLineRecord) -> dict[str, Any]:
        """Columns of a line but its key."""
        listing, sku = self.listings[self.sites[record.site].pk, facts.offer_of(line)]
        values = facts.line_values(line, sku=sku, listing=listing, category="sports", hold="")
        named = dict(zip(facts.LINE_COLUMNS, values, strict=True))
        named["sku_id"], named["listing_id"] = named.pop("sku"), named.pop("listing")
        return {**named, "account_id": self.account.pk, "changed_at": NOW}


Write = Callable[[list[OrderRecord], Known], None]


def row_by_row(records: list[OrderRecord], known: Known) -> None:
    """`update_or_create` of every row, one transaction per order."""
    for record in records:
        with transaction.atomic():
            order, _ = Order.objects.update_or_create(
                account=known.account, external_id=record.external_id, defaults=known.order(record)
            )
            for each in record.lines:
                line, _ = OrderLine.objects.update_or_create(
                    order=order, external_id=each.external_id, defaults=known.line(record, each)
                )
                for (event, refund, kind), amount in facts.charges(each).items():
                    OrderCharge.objects.update_or_create(
                        line=line, event=event, refund_ref=refund, kind=kind,
                        defaults={"amount": amount, "currency": record.currency},
                    )  # fmt: skip
            BuyerContact.objects.update_or_create(order=order, defaults=_contact(record))


def in_bulk(records: list[OrderRecord], known: Known) -> None:
    """`bulk_create(update_conflicts=True)`, one statement per table and 1,000 orders."""
    with transaction.atomic():
        orders = Order.objects.bulk_create(
            [Order(account=known.account, external_id=x.external_id, **known.order(x)) for x in records],
            update_conflicts=True, unique_fields=["client", "account", "external_id"],
            update_fields=list(facts.ORDER_COLUMNS),
        )  # fmt: skip
        named = [(order, record, line) for order, record in zip(orders, records, strict=True) for line in record.lines]
        lines = OrderLine.objects.bulk_create(
            [OrderLine(order=order, external_id=line.external_id, **known.line(x, line)) for order, x, line in named],
            update_conflicts=True, unique_fields=["client", "order", "external_id"],
            update_fields=[*facts.LINE_COLUMNS, "account_id", "changed_at"],
        )  # fmt: skip
        OrderCharge.objects.bulk_create(
            [
                OrderCharge(
                    line=line, event=event, refund_ref=refund, kind=kind, amount=amount, currency=record.currency
                )
                for line, (_order, record, each) in zip(lines, named, strict=True)
                for (event, refund, kind), amount in facts.charges(each).items()
            ],
            update_conflicts=True, unique_fields=["client", "line", "event", "refund_ref", "kind"],
            update_fields=["amount", "currency"],
        )  # fmt: skip
        BuyerContact.objects.bulk_create(
            [BuyerContact(order=order, **_contact(record)) for order, record in zip(orders, records, strict=True)],
            update_conflicts=True, unique_fields=["client", "order"], update_fields=["contact", "country", "purge_at"],
        )  # fmt: skip


def _contact(record: OrderRecord) -> dict[str, Any]:
    buyer = record.buyer or BuyerRecord()
    said = {name: value for name in _CONTACT if (value := getattr(buyer, name))}
    return {"contact": said, "country": (buyer.country or "")[:2], "purge_at": facts.purge_at(record)}
