"""What a page of orders changes, gathered before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from domventas.core import bulk
from marketplaces.models import Account
from orders.models import BuyerContact, Order, OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund
from orders.selectors import stored
from orders.services.facts import LINE_COLUMNS, ORDER_COLUMNS, REFUND_COLUMNS

LineKey = tuple[str, str]
"""Order and line, as the marketplace names them."""

#: Columns of an order that are compared; a digest alone is no reason to write.
STORED_ORDER: Final = (*ORDER_COLUMNS, "digest")
_EVENT: Final = ("order", "line_external_id", "what", "before", "after", "at")
_EXCEPTION: Final = ("order", "code", "detail", "seen_at", "resolved_at", "resolved_by")


@dataclass(slots=True)
class Changes:
    """Rows that are new or differ. Children name their parents by external id, as new parents have no key yet."""

    order_ids: dict[str, int] = field(default_factory=dict)
    line_ids: dict[LineKey, int] = field(default_factory=dict)
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    lines: dict[LineKey, tuple[Any, ...]] = field(default_factory=dict)
    charges: list[tuple[LineKey, tuple[Any, ...]]] = field(default_factory=list)
    gone_charges: list[int] = field(default_factory=list)
    refunds: list[tuple[LineKey, tuple[Any, ...]]] = field(default_factory=list)
    gone_refunds: list[int] = field(default_factory=list)
    events: list[tuple[str, str, str, str, str, datetime]] = field(default_factory=list)
    exceptions: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    contacts: list[tuple[str, dict[str, str] | None, str, datetime]] = field(default_factory=list)
    purge_dates: list[tuple[str, datetime]] = field(default_factory=list)
    people_until: list[datetime] = field(default_factory=list)

    def size(self) -> int:
        """How much has been gathered; it grows with every difference."""
        return (
            len(self.lines) + len(self.charges) + len(self.gone_charges) + len(self.refunds) + len(self.gone_refunds)
            + len(self.events) + len(self.exceptions) + len(self.contacts) + len(self.purge_dates)
        )  # fmt: skip

    def write(self, account: Account, *, now: datetime, raw_id: int | None) -> int:
        """Write it all, parents first; at most two statements per table, none for what did not change.

        Returns: rows inserted, changed or removed.
        """
        rows = self._write_orders(account, raw_id) + self._write_lines(account, now)
        rows += self._write_charges() + self._write_refunds()
        return rows + self._write_events() + self._write_exceptions() + self._write_contacts()

    def _write_orders(self, account: Account, raw_id: int | None) -> int:
        done = bulk.upsert(
            Order,
            ("account", "external_id", *STORED_ORDER, "raw_id"),
            [(account.pk, *row, raw_id) for row in self.orders],
            ("account", "external_id"),
            compare=STORED_ORDER,
            newer_than="source_updated_at",
            returning=True,
        )
        self.order_ids.update((key[1], pk) for key, pk in done.ids.items())
        return done.inserted + done.updated

    def _write_lines(self, account: Account, now: datetime) -> int:
        if not self.lines:
            return 0
        # A long reading began before what others wrote meanwhile; whoever reads on from the newest mark sees its lines.
        newest = stored.newest_change()
        now = max(now, newest) if newest else now
        done = bulk.upsert(
            OrderLine,
            ("order", "external_id", *LINE_COLUMNS, "account_id", "changed_at"),
            [(self.order_ids[order], line, *row, account.pk, now) for (order, line), row in self.lines.items()],
            ("order", "external_id"),
            returning=True,
        )
        name_of = {pk: external_id for external_id, pk in self.order_ids.items()}
        self.line_ids.update(((name_of[key[0]], key[1]), pk) for key, pk in done.ids.items())
        return done.inserted + done.updated

    def _write_charges(self) -> int:
        removed = OrderCharge.objects.filter(pk__in=self.gone_charges).delete()[0] if self.gone_charges else 0
        done = bulk.upsert(
            OrderCharge,
            ("line", "event", "refund_ref", "kind", "amount", "currency"),
            [(self.line_ids[key], *row) for key, row in self.charges],
            ("line", "event", "refund_ref", "kind"),
        )
        return removed + done.inserted + done.updated

    def _write_refunds(self) -> int:
        removed = OrderRefund.objects.filter(pk__in=self.gone_refunds).delete()[0] if self.gone_refunds else 0
        rows = [(self.line_ids[key], *row) for key, row in self.refunds]
        done = bulk.upsert(OrderRefund, ("line", "external_id", *REFUND_COLUMNS), rows, ("line", "external_id"))
        return removed + done.inserted + done.updated

    def _write_events(self) -> int:
        rows = {(self.order_ids[row[0]], row[1], row[2], row[5], row[4]): row for row in self.events}
        return bulk.upsert(
            OrderEvent,
            _EVENT,
            [(key[0], *row[1:]) for key, row in rows.items()],
            ("order", "line_external_id", "what", "at", "after"),
            compare=(),
        ).inserted

    def _write_exceptions(self) -> int:
        rows = [(self.order_ids[order], *row) for order, row in self.exceptions]
        done = bulk.upsert(OrderException, _EXCEPTION, rows, ("order", "code"))
        return done.inserted + done.updated

    def _write_contacts(self) -> int:
        contacts = [(self.order_ids[order], *row) for order, *row in self.contacts]
        columns = ("order", "contact", "country", "purge_at")
        # Sealed values never look alike, so a contact that came with a newer order is always written.
        done = bulk.upsert(BuyerContact, columns, contacts, ("order",), compare=columns[1:])
        dates = [(self.order_ids[order], moment) for order, moment in self.purge_dates]
        moved = bulk.upsert(BuyerContact, ("order", "purge_at"), dates, ("order",))
        return done.inserted + done.updated + moved.updated
