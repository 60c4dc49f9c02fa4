"""A marketplace of our own for the engine's tests: a real connector whose pages lie in memory, with faults to order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from marketplaces.errors import BorderError, Malformed
from marketplaces.port import (
    Checked,
    Connector,
    CredentialField,
    Door,
    Flow,
    RawPage,
    Reports,
    ReportState,
    SiteSpec,
    Translated,
    Window,
)
from marketplaces.protocols.signed_hints import SIGNED_HINTS
from marketplaces.records import (
    BuyerRecord,
    ChargeRecord,
    Drift,
    FeeKind,
    FulfillmentOwner,
    LineStatus,
    OfferRecord,
    OrderLineRecord,
    OrderRecord,
    Rejected,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SITE = SiteSpec(
    code="toy.example", label="Toy", country="DE", currency="EUR", zone="Europe/Berlin", external_id="toy",
    hosts={"api": "https://toy.example"}, sandbox_paths={"api": "/toy"},
)  # fmt: skip


@dataclass
class Toy:
    """What the marketplace holds, and how it misbehaves.

    Attributes:
        orders: id → (changed at, quantity); placed: id → when it was ordered, which never changes.
        before: called before each page with (window, token); raises to fail. before_one: the same before a fetch by
            number. shows: what such a fetch gets for a number. fetched: the numbers asked for, by request.
        asked: every (window, token) that was asked for.
    """

    orders: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    placed: dict[str, datetime] = field(default_factory=dict)
    page_size: int = 2
    before: Callable[[Window, str], None] = lambda window, token: None
    mangle: Callable[[dict[str, Any]], dict[str, Any]] = lambda page: page
    asked: list[tuple[Window, str]] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)
    shows: Callable[[str], dict[str, Any] | None] = field(init=False)
    before_one: Callable[[Sequence[str]], None] = lambda refs: None
    fetched: list[tuple[str, ...]] = field(default_factory=list)
    is_batching: bool = True

    def __post_init__(self) -> None:
        self.shows = self.shown

    def fill(self, count: int, *, every: timedelta = timedelta(hours=12), until: datetime = NOW) -> None:
        """Orders going back in time."""
        for number in range(count):
            placed = until - timedelta(minutes=30) - every * number
            self.placed[f"T-{number:03}"] = placed
            self.orders[f"T-{number:03}"] = (placed, 1)

    def fetch(self, door: Door, window: Window, token: str) -> RawPage:
        self.asked.append((window, token))
        self.before(window, token)
        found = sorted(
            (changed, ref, quantity)
            for ref, (changed, quantity) in self.orders.items()
            if window.since <= changed < window.until
        )
        start = int(token or 0)
        rows = found[start : start + self.page_size]
        following = str(start + self.page_size) if start + self.page_size < len(found) else ""
        page = self.mangle(
            {
                "orders": [self.shown(ref) for _, ref, _ in rows],
                "next": following,
            }
        )
        return RawPage(
            body=json.dumps(page).encode(), content_type="application/json", next_token=page["next"], name="orders"
        )

    def fetch_some(self, door: Door, refs: Sequence[str]) -> RawPage:
        """Orders by their numbers, as the source shows them just now: perhaps an older state, perhaps not at all."""
        self.fetched.append(tuple(refs))
        self.before_one(refs)
        rows = [row for ref in refs if (row := self.shows(ref)) is not None]
        return RawPage(body=json.dumps({"orders": rows}).encode(), content_type="application/json", name="order")

    def fetch_one(self, door: Door, ref: str) -> RawPage:
        return self.fetch_some(door, [ref])

    def shown(self, ref: str) -> dict[str, Any] | None:
        """An order's newest state."""
        if ref not in self.orders:
            return None
        changed, quantity = self.orders[ref]
        placed = self.placed.get(ref, changed).isoformat()
        buyer = {"name": f"Buyer of {ref}"}
        return {"id": ref, "placed": placed, "at": changed.isoformat(), "quantity": quantity, "buyer": buyer}

    def request(self, door: Door, window: Window) -> str:
        ref = f"R{len(self.reports) + 1}"
        self.reports[ref] = "processing"
        return ref

    def poll(self, door: Door, ref: str) -> ReportState:
        return ReportState(status=self.reports[ref], document_ref=f"{ref}-document")

    def download(self, door: Door, document_ref: str) -> RawPage:
        return RawPage(
            body=b"T-SKU;19.90", content_type="text/csv", context={"seen_at": NOW.isoformat()}, name=document_ref
        )

    def connector(self) -> Connector:
        """The connector as the registry would hold it."""
        return Connector(
            name="toy", label="Toy", package="marketplaces.tests", sites=(SITE,),
            credential_fields=(CredentialField(name="key", label="Key"),), limits={},
            open=lambda door: door, check=self.check,
            orders=Flow(
                fetch=self.fetch, translate=translate, record=OrderRecord, cadence="*/5 * * * *",
                freshness=timedelta(minutes=30), window=timedelta(days=1), overlap=timedelta(minutes=10),
                lag=timedelta(0), history=timedelta(days=10), pii_paths=("orders[].buyer",),
                fetch_one=self.fetch_one, fetch_some=self.fetch_some if self.is_batching else None, at_once=120,
            ),
            offers=Flow(
                reports=Reports(request=self.request, poll=self.poll, download=self.download),
                translate=translate_offers, record=OfferRecord, cadence="0 * * * *", freshness=timedelta(hours=4),
                snapshot=True,
            ),
            events=SIGNED_HINTS,
        )  # fmt: skip

    def check(self, door: Door) -> Checked:
        try:
            self.before(Window(since=NOW, until=NOW), "")
        except BorderError as error:
            return Checked(ok=False, message=str(error))
        return Checked(ok=True, message="Signed in.", sites=("toy.example",))


def translate(page: RawPage) -> Iterator[Translated]:
    """One page of toy orders."""
    try:
        body = json.loads(page.body)
    except ValueError as error:
        raise Malformed("The answer is not JSON.") from error
    for index, row in enumerate(body["orders"]):
        if not isinstance(row.get("quantity"), int):
            yield Rejected(
                path=f"orders[{index}].quantity", reason="The quantity is no number.",
                excerpt=json.dumps(row).encode(), external_id=row["id"],
            )  # fmt: skip
            continue
        if "surprise" in row:
            yield Drift(path="orders[].surprise", value=str(row["surprise"]))
        yield _order(row)


def _order(row: dict[str, Any]) -> OrderRecord:
    at = datetime.fromisoformat(row["at"])
    line = OrderLineRecord(
        external_id=f"{row['id']}-1", offer_ref="T-SKU", seller_sku="T-SKU", product_ref=None, title="Toy",
        quantity=row["quantity"], quantity_shipped=row["quantity"], quantity_canceled=0, status=LineStatus.SHIPPED,
        raw_status="shipped", category=None, shipped_at=at,
        charges=(ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("19.90") * row["quantity"]),),
    )  # fmt: skip
    buyer = row["buyer"]
    return OrderRecord(
        external_id=row["id"], site="toy.example", currency="EUR", updated_at=at,
        ordered_at=datetime.fromisoformat(row["placed"]),
        fulfillment=FulfillmentOwner.SELLER, lines=(line,),
        buyer=BuyerRecord(name=buyer["name"], country="DE") if buyer else None,
    )  # fmt: skip


def translate_offers(page: RawPage) -> Iterator[Translated]:
    """One file of toy offers."""
    sku, price = page.body.decode().split(";")
    from marketplaces.records import ListingStatus

    yield OfferRecord(
        offer_ref=sku, site="toy.example", seller_sku=sku, product_ref=None, eans=(), title="Toy",
        status=ListingStatus.ACTIVE, raw_status="active", fulfillment=FulfillmentOwner.SELLER,
        price=Decimal(price), currency="EUR", quantity=3, category=None,
        seen_at=datetime.fromisoformat(page.context["seen_at"]),
    )  # fmt: skip


def day(moment: datetime) -> date:
    """The day of a toy order, at its site."""
    from domventas.core.times import day_in

    return day_in("Europe/Berlin", moment)
