"""Taking in orders: compared with what is stored, and only the differences are written.

Pages may come late, twice and in any order; the newest state of an order wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Final

from django.db import transaction

from catalog.services import identity
from catalog.services.identity import Known, Offered, Unknown
from domventas.core import crypto, partitions
from domventas.core.behind import Behind
from domventas.core.fields import Sealed
from domventas.core.tenancy import current
from domventas.core.times import day_in
from marketplaces.garbage import not_collected
from marketplaces.loaders import moves
from marketplaces.models import Account, Site
from marketplaces.records import BuyerRecord, LineStatus, OrderLineRecord, OrderRecord, Rejected
from marketplaces.services import raw
from orders.models import Order, OrderLine
from orders.selectors import stored as stored_selector
from orders.selectors.stored import Stored
from orders.services import facts
from orders.services.changes import STORED_ORDER, Ahead, Changes
from orders.services.digest import digest
from orders.services.facts import LINE_COLUMNS, ORDER_COLUMNS, REFUND_COLUMNS

_AT: Final = {name: index for index, name in enumerate(LINE_COLUMNS)}
_UPDATED: Final = ORDER_COLUMNS.index("source_updated_at")
_ORDERED_ON: Final = ORDER_COLUMNS.index("ordered_on")
_BUYER: Final = tuple(one.name for one in fields(BuyerRecord))
#: Orders that are compared while the server still writes those before them.
_PART: Final = 1_000
#: A change of these touches the money of every line.
_MONEY_OF_ORDER: Final = tuple(
    ORDER_COLUMNS.index(name) for name in ("site", "currency", "fulfillment", "is_business", "ordered_on")
)


@dataclass(slots=True)
class Ingested:
    """What became of a page of orders.

    Attributes:
        seen: records given, doubles included. written: rows inserted, changed or removed, in all tables.
        by_day: new orders by the day they were placed, at the site; less those that are said to be of another day now.
    """

    seen: int = 0
    written: int = 0
    by_day: dict[date, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


def ingest(
    account: Account,
    records: Iterable[OrderRecord],
    *,
    now: datetime,
    raw_id: int | None = None,
    has_buyers: bool = True,
    trusts_digest: bool = True,
) -> Ingested:
    """Store a page of orders of the account; the number of statements does not grow with the page.

    An order older than what is stored is left out. A line keeps the SKU it once got; a line whose offer is unknown is
    held until somebody maps the offer. `changed_at` of a line moves only when the line or its amounts changed. A record
    that is the very one stored costs a look at its digest. Opens a transaction if there is none.

    Args:
        has_buyers: False when the records come from a document whose personal data were removed; contacts stay then.
        trusts_digest: False compares every row, whatever the digest says.
    """
    done = Ingested()
    sites = account.channel_sites
    page = _newest(records, sites, done)
    with not_collected(), transaction.atomic():
        identity.lock(account)
        marks: dict[str, str] = {}
        people_until: list[datetime] = []
        if trusts_digest and len(page) > 1:  # one that comes by itself is nearly always new
            known = stored_selector.digests(account, page)
            marks = {name: digest(page[name]) for name, mark in known.items() if mark}
            same = {name for name, mark in marks.items() if known[name] == mark}
            people_until += [facts.purge_at(page[name]) for name in same if has_buyers and page[name].buyer]
            page = {name: record for name, record in page.items() if name not in same}
        if page:
            stored = stored_selector.page(
                account, page, order_columns=STORED_ORDER, line_columns=LINE_COLUMNS, refund_columns=REFUND_COLUMNS
            )
            fresh = [record for record in page.values() if not _is_stale(record, stored)]
            people_until += _of_the_stale(page, fresh, stored, now=now) if has_buyers else []
            offers = _identified(account, fresh, sites, now=now)
            believed = _Believed(sites, stored, offers, now, has_buyers, marks, current().one)
            done.written, of_the_fresh = _written(account, fresh, believed, raw_id=raw_id)
            people_until += of_the_fresh
            if len(fresh) > 1:
                partitions.count_if_grown(Order, OrderLine)  # before the commit, which looks each row's parent up
            done.by_day = _by_day(fresh, sites, stored)
        if raw_id is not None and people_until:
            raw.due_by(raw_id, min(people_until))  # the bytes go with the first of the buyers in them
    return done


def _newest(records: Iterable[OrderRecord], sites: Mapping[str, Site], done: Ingested) -> dict[str, OrderRecord]:
    """The newest readable record of each order."""
    page: dict[str, OrderRecord] = {}
    for record in records:
        done.seen += 1
        if reason := facts.problem(record, sites):
            done.rejected.append(_rejected(record, reason))
        elif record.external_id not in page or page[record.external_id].updated_at <= record.updated_at:
            page[record.external_id] = record
    return page


def _written(
    account: Account, records: list[OrderRecord], believed: _Believed, *, raw_id: int | None
) -> tuple[int, list[datetime]]:
    """Write what differs, of a big page one part while the next is compared.

    Returns: rows written, and when buyers have to go.
    """
    order_ids = {name: pk for name, (pk, _values) in believed.stored.orders.items()}
    rows, people_until = 0, list[datetime]()
    with Behind() as behind:
        parts = [records[at : at + _PART] for at in range(0, len(records), _PART)]
        ahead = Ahead.of(behind, records, believed.stored, now=believed.now) if len(parts) > 1 else None
        for part in parts:
            changes = Changes(order_ids)
            for record in part:
                _Order(record, believed, changes).compare()
            rows += changes.write(account, now=believed.now, raw_id=raw_id, ahead=ahead)
            people_until += changes.people_until
            if ahead:
                behind.send()
    return rows + behind.written, people_until


@dataclass(frozen=True, slots=True)
class _Offers:
    """What is known of the page's offers, and which unknown ones nobody waits for."""

    known: Mapping[Any, Known]
    """By `Offered`, or a tuple that holds the same, which is quicker to make."""
    ignored: set[str]

    def of(self, line: OrderLineRecord, site: Site) -> tuple[Known, str]:
        """The offer of a line, and why the line has to wait."""
        ref = facts.offer_of(line)
        known = self.known[site.pk, ref, line.seller_sku or "", ()]
        waits = not known.sku_id and ref not in self.ignored
        return known, OrderLine.Hold.UNMAPPED.value if waits else ""


@dataclass(frozen=True, slots=True)
class _Believed:
    """What all orders of a page are compared with. `marks`: digests known already, by order."""

    sites: Mapping[str, Site]
    stored: Stored
    offers: _Offers
    now: datetime
    has_buyers: bool
    marks: Mapping[str, str]
    client: int


@dataclass(slots=True)
class _Order:
    """One order beside what is stored of it."""

    record: OrderRecord
    page: _Believed
    changes: Changes
    site: Site = field(init=False)
    stored: Stored = field(init=False)
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.site, self.stored, self.now = self.page.sites[self.record.site], self.page.stored, self.page.now

    @property
    def name(self) -> str:
        return self.record.external_id

    def compare(self) -> None:
        """Put every difference into the changes."""
        sums = facts.totals(self.record)
        values = facts.order_values(self.record, self.site, sums)
        pk, stored = self.stored.orders.get(self.name, (None, None))
        before, gathered = (stored[:-1], self.changes.size()) if stored else (None, 0)
        touched = before is not None and any(values[at] != before[at] for at in _MONEY_OF_ORDER)
        for line in self.record.lines:
            self._line(pk, line, touched=touched)
        if pk is not None:
            named = {line.external_id for line in self.record.lines}
            for external_id in self.stored.line_ids.get(pk, ()):
                if external_id not in named:
                    self._dropped(pk, external_id)
        self._exceptions(pk, facts.oddities(self.record, sums))
        self._contact(pk, is_newer=before is None or before[_UPDATED] < self.record.updated_at)
        if values != before or self.changes.size() > gathered:
            mark = (self.page.marks.get(self.name) or digest(self.record)) if self._is_settled() else ""
            self.changes.orders.append((self.name, *values, mark))

    def _is_settled(self) -> bool:
        """Whether nothing about the lines is left to be found out, so that the same record would say nothing new."""
        known = [self.page.offers.of(line, self.site) for line in self.record.lines]
        return bool(known) and all(offer.sku_id and offer.category and not hold for offer, hold in known)

    def _line(self, order: int | None, line: OrderLineRecord, *, touched: bool) -> None:
        key = (self.name, line.external_id)
        pk, before = self.stored.lines.get((order, line.external_id), (None, None)) if order else (None, None)
        values = self._line_values(line, before)
        if pk is not None:
            self.changes.line_ids[key] = pk
        different = self._amounts(key, pk, line) | self._refunds(key, pk, line)
        if different or touched or values != before:
            self.changes.lines[key] = values
        if before is not None:
            self._moved(line.external_id, before, values)
        elif values[_AT["hold"]]:
            self._event(line.external_id, "held", "", values[_AT["offer_ref"]], self.now)

    def _line_values(self, line: OrderLineRecord, before: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """The line's columns; what we found out about the offer stays, as its later mapping must not rewrite a sale."""
        known, hold = self.page.offers.of(line, self.site)
        sku, listing, category = known.sku_id, known.listing_id, known.category
        if before is not None and before[_AT["sku"]] is not None:
            sku, hold = before[_AT["sku"]], ""
            listing = before[_AT["listing"]] or listing
            category = before[_AT["category"]] or category
        return facts.line_values(line, sku=sku, listing=listing, category=category, hold=hold)

    def _amounts(self, key: tuple[str, str], line_id: int | None, line: OrderLineRecord) -> bool:
        before = self.stored.charges.get(line_id, {}) if line_id else {}
        after, currency = facts.charges(line), self.record.currency
        new = [
            (key, (*which, amount, currency))
            for which, amount in after.items()
            if which not in before or before[which][1:] != (amount, currency)
        ]
        gone = [pk for which, (pk, _amount, _currency) in before.items() if which not in after]
        self.changes.charges += new
        self.changes.gone_charges += gone
        return bool(new or gone)

    def _refunds(self, key: tuple[str, str], line_id: int | None, line: OrderLineRecord) -> bool:
        before = self.stored.refunds.get(line_id, {}) if line_id else {}
        after = facts.refunds(line)
        new = [(ref, values) for ref, values in after.items() if ref not in before or before[ref][1] != values]
        gone = [pk for ref, (pk, _values) in before.items() if ref not in after]
        self.changes.refunds += [(key, (ref, *values)) for ref, values in new]
        self.changes.gone_refunds += gone
        for ref, values in new:
            if ref not in before:
                self._event(
                    line.external_id, "refund", "", f"{ref} × {values[1] or '?'}", values[0] or self.record.updated_at
                )
        return bool(new or gone)

    def _moved(self, line: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
        for name in ("status", "quantity", "quantity_canceled", "sku"):
            old, new = before[_AT[name]], after[_AT[name]]
            if old != new and name != "sku":
                shown = ["" if value is None else str(value) for value in (old, new)]
                self._event(line, name, shown[0], shown[1], self.record.updated_at)
        if before[_AT["hold"]] and not after[_AT["hold"]]:
            self._event(line, "released", before[_AT["hold"]], after[_AT["offer_ref"]], self.now)

    def _dropped(self, order: int, external_id: str) -> None:
        """A line the marketplace no longer names: kept, but canceled and without amounts, so nothing is owed for it."""
        pk, before = self.stored.lines[order, external_id]
        key = (self.name, external_id)
        self.changes.line_ids[key] = pk
        values = list(before)
        values[_AT["status"]], values[_AT["raw_status"]] = LineStatus.CANCELED.value, "no longer named"
        charges, refunds = self.stored.charges.get(pk, {}), self.stored.refunds.get(pk, {})
        self.changes.gone_charges += [charge[0] for charge in charges.values()]
        self.changes.gone_refunds += [refund[0] for refund in refunds.values()]
        if tuple(values) != before or charges or refunds:
            self.changes.lines[key] = tuple(values)
            self._event(external_id, "status", before[_AT["status"]], LineStatus.CANCELED.value, self.record.updated_at)

    def _exceptions(self, order: int | None, after: Mapping[str, str]) -> None:
        before = self.stored.exceptions.get(order, {}) if order else {}
        for code, detail in after.items():
            was, resolved_at, resolved_by = before.get(code, (None, None, ""))
            if was != detail or (resolved_at is not None and not resolved_by):
                self.changes.exceptions.append((self.name, (code, detail, self.now, None, "")))
        for code, (detail, resolved_at, _by) in before.items():
            if code not in after and resolved_at is None:
                self.changes.exceptions.append((self.name, (code, detail, self.now, self.now, "")))

    def _contact(self, order: int | None, *, is_newer: bool) -> None:
        """The buyer comes with a newer order or when none is stored; what was purged stays purged.

        A buyer whose day has passed when the order comes is not stored at all.
        """
        stored = self.stored.contacts.get(order) if order else None
        buyer = self.record.buyer if self.page.has_buyers else None
        due = facts.purge_at(self.record)
        if buyer is not None:
            self.changes.people_until.append(self.now if stored and stored[1] else due)
        if stored and stored[1]:
            return
        if buyer is not None and (stored is None or is_newer):
            contact = {name: value for name in _BUYER if (value := getattr(buyer, name))}
            if contact:
                kept = Sealed(crypto.encrypt_json(contact, client=self.page.client)) if due > self.now else None
                country = buyer.country or ""
                country = country if len(country) == 2 else ""  # two letters of a longer one are another country
                self.changes.contacts.append((self.name, kept, country, due))
        elif stored and stored[0] != due:
            self.changes.purge_dates.append((self.name, due))

    def _event(self, line: str, what: str, before: str, after: str, at: datetime) -> None:
        self.changes.events.append((self.name, line, what, before[:200], after[:200], at))


def _rejected(record: OrderRecord, reason: str) -> Rejected:
    return Rejected(
        path=f"orders[{record.external_id[:100]}]",
        reason=reason,
        excerpt=f"{record.external_id} {record.site} {record.updated_at:%Y-%m-%dT%H:%M:%SZ}".encode(),
        external_id=record.external_id[:200],
    )


def _is_stale(record: OrderRecord, stored: Stored) -> bool:
    known = stored.orders.get(record.external_id)
    return known is not None and known[1][_UPDATED] > record.updated_at


def _of_the_stale(
    page: Mapping[str, OrderRecord], fresh: Iterable[OrderRecord], stored: Stored, *, now: datetime
) -> list[datetime]:
    """When buyers have to go who came with an older state of their order, as the newer one has it."""
    old = page.keys() - {record.external_id for record in fresh}
    kept = [stored.contacts.get(stored.orders[name][0]) for name in old if page[name].buyer]
    return [now if purged else due for due, purged in filter(None, kept)]


def _offered(line: OrderLineRecord, site: Site) -> Offered:
    return Offered(site.pk, facts.offer_of(line), line.seller_sku or "")


def _identified(account: Account, records: list[OrderRecord], sites: Mapping[str, Site], *, now: datetime) -> _Offers:
    """Look up the offers of all lines; those nobody knows go to the queue of unmapped items."""
    named = {_offered(line, sites[x.site]): line for x in records for line in x.lines}
    known = identity.known(account, named, sites={site.pk: site.code for site in sites.values()})
    unknown = [
        Unknown(offer.site_id, offer.offer_ref, offer.seller_sku, line.product_ref or "", facts.text(line.title, 500))
        for offer, line in named.items()
        if not known[offer].sku_id
    ]
    return _Offers(known, identity.hold(account, unknown, now=now))


def _by_day(records: Iterable[OrderRecord], sites: Mapping[str, Site], stored: Stored) -> dict[date, int]:
    before = {name: values[_ORDERED_ON] for name, (_pk, values) in stored.orders.items()}
    return moves(before, {x.external_id: day_in(sites[x.site].zone, x.ordered_at) for x in records})
