"""What a page of orders changes, gathered before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from domventas.core import bulk
from domventas.core.behind import Behind
from domventas.core.fields import Sealed
from marketplaces.models import Account
from marketplaces.records import OrderRecord
from orders.models import BuyerContact, Order, OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund
from orders.selectors import stored
from orders.selectors.stored import Stored
from orders.services.facts import LINE_COLUMNS, ORDER_COLUMNS, REFUND_COLUMNS

LineKey = tuple[str, str]
"""Order and line, as the marketplace names them."""

#: Columns of an order that are compared; a digest alone is no reason to write.
STORED_ORDER: Final = (*ORDER_COLUMNS, "digest")
_ORDER: Final = ("account", "external_id", *STORED_ORDER)
_ORDER_KEY: Final = ("account", "external_id")
_ORDER_RULES: Final[Any] = {"compare": STORED_ORDER, "newer_than": "source_updated_at"}
_LINE: Final = ("order", "external_id", *LINE_COLUMNS)
_LINE_KEY: Final = ("order", "external_id")
#: A line is given here when it or its amounts differ, so it is always written.
_LINE_RULES: Final[Any] = {"compare": (*LINE_COLUMNS, "account_id", "changed_at")}
_EVENT: Final = ("order", "line_external_id", "what", "before", "after", "at")
_EXCEPTION: Final = ("order", "code", "detail", "seen_at", "resolved_at", "resolved_by")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What all parts of a big page need of the server, asked before the first: then each is written behind the next.

    Attributes:
        order_ids, line_ids: keys for what is new. changed_at: when lines are said to have changed.
    """

    behind: Behind
    order_ids: Iterator[int]
    line_ids: Iterator[int]
    changed_at: datetime

    @classmethod
    def of(cls, behind: Behind, records: Collection[OrderRecord], known: Stored, *, now: datetime) -> Ahead:
        """For these records, of which this much is stored."""
        ids = {record.external_id: known.orders.get(record.external_id, (None, None))[0] for record in records}
        lines = ((ids[record.external_id], line.external_id) for record in records for line in record.lines)
        return cls(
            behind,
            iter(bulk.new_ids(Order, sum(pk is None for pk in ids.values()))),
            iter(bulk.new_ids(OrderLine, sum(line not in known.lines for line in lines))),
            _changed_at(now),
        )


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
    contacts: list[tuple[str, Sealed | None, str, datetime]] = field(default_factory=list)
    purge_dates: list[tuple[str, datetime]] = field(default_factory=list)
    people_until: list[datetime] = field(default_factory=list)

    def size(self) -> int:
        """How much has been gathered; it grows with every difference."""
        return (
            len(self.lines) + len(self.charges) + len(self.gone_charges) + len(self.refunds) + len(self.gone_refunds)
            + len(self.events) + len(self.exceptions) + len(self.contacts) + len(self.purge_dates)
        )  # fmt: skip

    def write(self, account: Account, *, now: datetime, raw_id: int | None, ahead: Ahead | None = None) -> int:
        """Write it all, parents first; at most two statements per table, none for what did not change.

        With `ahead` it is only made ready to be sent.
        Returns: rows inserted, changed or removed, without those that are only made ready.
        """
        behind, gone = ahead.behind if ahead else None, self._remove(ahead)
        if ahead is None:
            rows = self._write_orders(account, raw_id) + self._write_lines(account, now)
        else:
            rows = self._leave_orders(account, raw_id, ahead) + self._leave_lines(account, ahead)
        rows += gone + self._write_charges(behind) + self._write_refunds(behind)
        return rows + self._write_events(behind) + self._write_exceptions(behind) + self._write_contacts(behind)

    def _remove(self, ahead: Ahead | None) -> int:
        gone = ((OrderCharge, self.gone_charges), (OrderRefund, self.gone_refunds))
        if ahead and any(keys for _model, keys in gone):
            ahead.behind.finish()
        return sum(model.objects.filter(pk__in=keys).delete()[0] for model, keys in gone if keys)

    def _write_orders(self, account: Account, raw_id: int | None) -> int:
        rows, extra = [(account.pk, *row) for row in self.orders], {"raw_id": raw_id}
        done = bulk.upsert(Order, _ORDER, rows, _ORDER_KEY, **_ORDER_RULES, extra=extra, returning=True)
        self.order_ids.update((key[1], pk) for key, pk in done.ids.items())
        return done.inserted + done.updated

    def _leave_orders(self, account: Account, raw_id: int | None, ahead: Ahead) -> int:
        for name, *_values in self.orders:
            if name not in self.order_ids:
                self.order_ids[name] = next(ahead.order_ids)
        rows, extra = [(self.order_ids[row[0]], account.pk, *row) for row in self.orders], {"raw_id": raw_id}
        rules = {**_ORDER_RULES, "keep": ("id",), "behind": ahead.behind}
        bulk.upsert(Order, ("id", *_ORDER), rows, _ORDER_KEY, **rules, extra=extra)
        return 0

    def _write_lines(self, account: Account, now: datetime) -> int:
        if not self.lines:
            return 0
        rows = [(self.order_ids[order], line, *row) for (order, line), row in self.lines.items()]
        extra = {"account_id": account.pk, "changed_at": _changed_at(now)}
        done = bulk.upsert(OrderLine, _LINE, rows, _LINE_KEY, **_LINE_RULES, extra=extra, returning=True)
        name_of = {pk: external_id for external_id, pk in self.order_ids.items()}
        self.line_ids.update(((name_of[key[0]], key[1]), pk) for key, pk in done.ids.items())
        return done.inserted + done.updated

    def _leave_lines(self, account: Account, ahead: Ahead) -> int:
        for key in self.lines:
            if key not in self.line_ids:
                self.line_ids[key] = next(ahead.line_ids)
        rows = [(self.line_ids[key], self.order_ids[key[0]], key[1], *row) for key, row in self.lines.items()]
        rules = {**_LINE_RULES, "keep": ("id",), "behind": ahead.behind}
        extra = {"account_id": account.pk, "changed_at": ahead.changed_at}
        bulk.upsert(OrderLine, ("id", *_LINE), rows, _LINE_KEY, **rules, extra=extra)
        return 0

    def _write_charges(self, behind: Behind | None) -> int:
        done = bulk.upsert(
            OrderCharge,
            ("line", "event", "refund_ref", "kind", "amount", "currency"),
            [(self.line_ids[key], *row) for key, row in self.charges],
            ("line", "event", "refund_ref", "kind"),
            behind=behind,
        )
        return done.inserted + done.updated

    def _write_refunds(self, behind: Behind | None) -> int:
        rows = [(self.line_ids[key], *row) for key, row in self.refunds]
        columns = ("line", "external_id", *REFUND_COLUMNS)
        done = bulk.upsert(OrderRefund, columns, rows, ("line", "external_id"), behind=behind)
        return done.inserted + done.updated

    def _write_events(self, behind: Behind | None) -> int:
        rows = {(self.order_ids[row[0]], row[1], row[2], row[5], row[4]): row for row in self.events}
        return bulk.upsert(
            OrderEvent,
            _EVENT,
            [(key[0], *row[1:]) for key, row in rows.items()],
            ("order", "line_external_id", "what", "at", "after"),
            compare=(),
            behind=behind,
        ).inserted

    def _write_exceptions(self, behind: Behind | None) -> int:
        rows = [(self.order_ids[order], *row) for order, row in self.exceptions]
        done = bulk.upsert(OrderException, _EXCEPTION, rows, ("order", "code"), behind=behind)
        return done.inserted + done.updated

    def _write_contacts(self, behind: Behind | None) -> int:
        contacts = [(self.order_ids[order], *row) for order, *row in self.contacts]
        columns = ("order", "contact", "country", "purge_at")
        # Sealed values never look alike, so a contact that came with a newer order is always written.
        done = bulk.upsert(BuyerContact, columns, contacts, ("order",), compare=columns[1:], behind=behind)
        dates = [(self.order_ids[order], moment) for order, moment in self.purge_dates]
        moved = bulk.upsert(BuyerContact, ("order", "purge_at"), dates, ("order",), behind=behind)
        return done.inserted + done.updated + moved.updated


def _changed_at(now: datetime) -> datetime:
    """A long reading began before what others wrote meanwhile; who reads on from the newest mark sees its lines."""
    newest = stored.newest_change()
    return max(now, newest) if newest else now
