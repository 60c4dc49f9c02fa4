"""Whatever happens to orders, statements, rules and decisions, in any order: the books hold and nothing is missed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from catalog.services.products import ProductRow, load_products
from domventas.core.times import Period
from finance.models import (
    DeviationSum,
    Discrepancy,
    ExpectedCharge,
    FeeKindMap,
    FeeRule,
    LineReconciliation,
    Receivable,
    RuleGap,
    SettlementLine,
    Tolerance,
    Transaction,
)
from finance.selectors.books import CHECKS
from finance.selectors.bridge import bridges
from finance.selectors.receivables import roll_forward
from finance.services import discrepancies
from finance.services.reconcile import reconcile
from finance.services.settlement_lines import reclassify
from finance.services.settlements import ingest
from finance.testing import account
from finance.tests.golden import article, dec, refunded, rules, sold, what_a_full_run_changes
from marketplaces.models import Account
from marketplaces.records import SettlementLineRecord, SettlementRecord
from orders.models import OrderCharge, OrderLine

pytestmark = pytest.mark.db

SALE = {"item_price": "41.85", "item_tax": "7.95", "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
BACK = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "8.89", "refund_admin_fee": "-1.77"}
#: What is booked instead of the right amount: off by a rate, a cent, twice, nothing, something nobody expects.
ODD: dict[str, tuple[str, ...]] = {
    "referral_fee": ("-10.67", "-10.67", "-9.40", "-7.11", "0.00"),
    "item_tax": ("7.94", "7.94", "7.95", "0.00"),
    "item_price": ("41.85", "40.00"),
    "fulfillment_fee": ("-3.87", "-4.82"),
}
START = date(2026, 9, 1)
Row = tuple[str, str, str, str]
"""Order, event (`refund2` for the second refund), kind, amount."""


class World:
    """One Amazon account and everything that may happen to it."""

    def __init__(self, of: Account, chance: random.Random) -> None:
        self.account, self.chance, self.day = of, chance, START
        self.count = 0
        self.statements: dict[str, tuple[datetime, list[Row]]] = {}

    @property
    def now(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 6, tzinfo=UTC)

    def lines(self) -> list[OrderLine]:
        return list(OrderLine.objects.select_related("order").order_by("order__external_id"))

    def one(self, among: Iterable[Any]) -> Any:
        known = list(among)
        return self.chance.choice(known) if known else None

    def touch(self, line: OrderLine, **values: Any) -> None:
        OrderLine.objects.filter(pk=line.pk).update(changed_at=self.now, **values)

    # what happens

    def an_order_comes(self, ref: str = "") -> None:
        self.count += not ref
        quantity = self.chance.choice([1, 1, 2])
        goods = {kind: str(dec(SALE[kind]) * quantity) for kind in ("item_price", "item_tax")}
        status, shipped = self.chance.choice([("shipped", quantity)] * 4 + [("to_ship", 0), ("shipped", 1)])
        line = sold(
            self.account, ref or f"O-{self.count}", goods if self.chance.random() < 0.95 else {},
            sku=self.chance.choice([article(), article(), article("G", category="garden"), None]), quantity=quantity,
            shipped=shipped, status=status, on=self.day - timedelta(days=self.chance.randrange(20)),
            fulfillment=self.chance.choice(["seller", "marketplace"]), delivered=self.chance.random() < 0.7,
        )  # fmt: skip
        self.touch(line)

    def a_statement_comes(self) -> None:
        self.count += 1
        rows: list[Row] = []
        refs = [line.order.external_id for line in self.lines()] + [f"O-{self.count + n}" for n in range(1, 3)]
        for ref in self.chance.sample(refs, k=min(len(refs), self.chance.randrange(1, 7))):
            event = self.chance.choice(["sale"] * 5 + ["refund", "refund2"])
            for kind, amount in (SALE if event == "sale" else BACK).items():
                if self.chance.random() < 0.08:
                    continue
                odd = ODD.get(kind) if event == "sale" and self.chance.random() < 0.4 else None
                times = 2 if self.chance.random() < 0.05 else 1
                rows += [(ref, event, kind, self.chance.choice(odd) if odd else amount)] * times
            if self.chance.random() < 0.2:
                rows.append((ref, event, self.chance.choice(["mystery", "shipping_price", "goodwill"]), "-1.25"))
        rows.append(("", "account", self.chance.choice(["mystery", "storage_fee", "reserve"]), "-5.00"))
        ref = f"S{self.count}"
        self.statements[ref] = (self.now - timedelta(days=self.chance.randrange(2)), rows)
        self.book(ref)

    def book(self, ref: str) -> None:
        end, rows = self.statements[ref]
        total = sum((dec(row[3]) for row in rows), Decimal(0)) + self.chance.choice([0, 0, 0, 1])
        record = SettlementRecord(
            settlement_ref=ref, currency="EUR", period_start=end - timedelta(days=14), period_end=end,
            paid_on=end.date() + timedelta(days=2), total=total, complete=True,
            lines=iter([self.row(n, row, end) for n, row in enumerate(rows, 1)]),
        )  # fmt: skip
        ingest(self.account, record, raw_id=None, source="api", now=self.now)

    def row(self, n: int, row: Row, end: datetime) -> SettlementLineRecord:
        ref, said, kind, amount = row
        event = said.removesuffix("2")
        return SettlementLineRecord(
            raw_type=f"{event}|{kind}", amount=dec(amount), currency="EUR", posted_at=end - timedelta(days=n % 9),
            ordinal=n, line_ref=None, raw_key="|".join(row), order_ref=ref or None, order_line_ref=None,
            refund_ref=f"{said}-{ref}" if event == "refund" else None, seller_sku=None, site="amazon.de", quantity=1,
        )  # fmt: skip

    def a_statement_is_issued_again(self) -> None:
        ref = self.one(self.statements)
        if ref is None:
            return
        end, rows = self.statements[ref]
        kept = [row for row in rows if self.chance.random() > 0.2]
        changed = [(*row[:3], str(dec(row[3]) + dec("0.50"))) if self.chance.random() < 0.1 else row for row in kept]
        self.statements[ref] = (end + timedelta(days=self.chance.choice([0, 0, 3])), changed)
        self.book(ref)

    def an_order_moves_on(self) -> None:
        line = self.one(self.lines())
        if line is not None:
            status = self.chance.choice(["shipped", "shipped", "canceled"])
            self.touch(line, status=status, quantity_shipped=line.quantity if status == "shipped" else 0)

    def a_price_is_corrected(self) -> None:
        line = self.one(self.lines())
        if line is not None:
            OrderCharge.objects.filter(line=line, kind="item_price", event="sale").update(amount=dec("39.85"))
            self.touch(line)

    def the_order_tells_of_a_refund(self) -> None:
        line = self.one(x for x in self.lines() if x.refunds.count() < x.quantity)
        if line is not None:
            ref = f"refund{'2' if line.refunds.exists() else ''}-{line.order.external_id}"
            refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"}, ref=ref, on=self.day)
            self.touch(line)

    def an_offer_is_mapped(self) -> None:
        line = self.one(OrderLine.objects.filter(sku=None).order_by("external_id"))
        if line is not None:
            self.touch(line, sku=self.chance.choice([article(), article("G", category="garden")]))

    def the_product_master_is_corrected(self) -> None:
        if self.chance.random() < 0.5:
            row = ProductRow(
                sku="ALB-1", brand="alba", product="ALB-1", title="ALB-1", category="home_kitchen",
                weight_g=self.chance.choice([None, 200, 400, 700]),
            )  # fmt: skip
            load_products([row], now=self.now)

    def a_rule_changes(self) -> None:
        if self.chance.random() < 0.3:
            rate = self.chance.choice(["0.15", "0.18"])
            FeeRule.objects.filter(category="home_kitchen").update(rate=dec(rate))
        elif self.chance.random() < 0.3:
            Tolerance.objects.update(absolute_amount=dec(self.chance.choice(["0.00", "0.02", "1.00"])))

    def words_get_a_meaning(self) -> None:
        if self.chance.random() < 0.3 and not FeeKindMap.objects.filter(pattern="sale|mystery").exists():
            for event in ("sale", "refund", "account"):
                FeeKindMap.objects.create(channel="amazon", pattern=f"{event}|mystery", event=event, kind="other_fee")
            reclassify("amazon")

    def orders_are_deleted(self) -> None:
        if self.chance.random() < 0.4:
            for line in self.chance.sample(self.lines(), k=min(3, OrderLine.objects.count())):
                ref = line.order.external_id
                line.order.delete()
                if self.chance.random() < 0.5:
                    self.an_order_comes(ref)

    def a_booking_comes(self) -> None:
        line = self.one(self.lines())
        if line is not None:
            self.count += 1
            Transaction.objects.create(
                account=self.account, external_id=f"T{self.count}", state=self.chance.choice(["deferred", "released"]),
                event="sale", amount=1, currency="EUR", posted_at=self.now, order_ref=line.order.external_id,
                release_at=self.now + timedelta(days=self.chance.randrange(-9, 9)),
            )  # fmt: skip

    def somebody_decides(self) -> None:
        findings = Discrepancy.objects.filter(state="open").order_by("cause", "line_ref", "amount", "happened_on")
        found = self.one(findings)
        if found is None:
            return
        if self.chance.random() < 0.7:
            until = self.chance.choice([None, self.day + timedelta(days=5)])
            discrepancies.accept([found.pk], until=until, note="seen", by="x", now=self.now)
        else:
            discrepancies.claim([found.pk], note="C-1", by="x")

    def somebody_thinks_again(self) -> None:
        decided = Discrepancy.objects.filter(state__in=["accepted", "claimed"])
        found = self.one(decided.order_by("cause", "line_ref", "amount", "happened_on"))
        if found is not None:
            discrepancies.reopen([found.pk], by="x")

    def things(self) -> list[Callable[[], None]]:
        often = [self.an_order_comes] * 6 + [self.a_statement_comes] * 3 + [self.somebody_decides] * 2
        return [
            *often, self.a_statement_is_issued_again, self.an_order_moves_on, self.a_price_is_corrected,
            self.the_order_tells_of_a_refund, self.the_order_tells_of_a_refund, self.an_offer_is_mapped,
            self.a_rule_changes, self.words_get_a_meaning, self.orders_are_deleted, self.a_booking_comes,
            self.somebody_thinks_again, self.the_product_master_is_corrected,
        ]  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 12))])
def test_after_every_run_the_books_hold_and_nothing_was_missed(acting: Any, seed: int) -> None:
    rules("amazon.de")
    for event in ("sale", "refund"):
        for kind in {*SALE, *BACK, "shipping_price", "goodwill"}:
            FeeKindMap.objects.create(channel="amazon", pattern=f"{event}|{kind}", event=event, kind=kind)
    for kind in ("storage_fee", "reserve"):
        FeeKindMap.objects.create(channel="amazon", pattern=f"account|{kind}", event="account", kind=kind)
    world = World(account("amazon-eu", sites=["amazon.de"]), random.Random(seed))
    for _run in range(8):
        happened = []
        for _thing in range(12):
            thing = world.chance.choice(world.things())
            happened.append(thing.__name__)
            thing()
        reconcile(now=world.now)
        reconcile(now=world.now)  # a decision about what is gone ends with the next run
        told = f"{world.day} {happened}"
        assert (told, what_a_full_run_changes(_stored, world.now)) == (told, [])
        assert (told, list(_broken(world))) == (told, [])
        world.day += timedelta(days=world.chance.choice([0, 1, 4, 8]))


def _broken(world: World) -> Iterable[str]:
    """What does not add up."""
    for check in CHECKS:
        with connection.cursor() as cursor:
            cursor.execute(check.broken, {"client": world.account.client_id})
            if rows := cursor.fetchall():
                yield f"{check.name}: {rows[:3]}"
    if SettlementLine.objects.filter(state="new").exists():
        yield "lines nobody has judged"
    balance = roll_forward(Period(START - timedelta(days=99), world.day + timedelta(days=1)), today=world.day)
    for row in balance:
        if row.closing != row.proved:
            yield f"closing {row.closing}, proved {row.proved}"
    for bridge in bridges(balance):
        if bridge.unexplained:
            yield f"unexplained {bridge.unexplained}: {bridge}"


def _stored() -> set[tuple[Any, ...]]:
    tables: list[tuple[Any, tuple[str, ...]]] = [
        (model, tuple(f.attname for f in model._meta.concrete_fields if f.attname not in {"id", "client_id", *leave}))
        for model, leave in (
            (DeviationSum, ()), (Receivable, ()), (LineReconciliation, ()), (ExpectedCharge, ()), (RuleGap, ()),
            (Discrepancy, ("is_seen", "found_at", "gone_at")), (SettlementLine, ()),
        )
    ]  # fmt: skip
    return {
        (model.__name__, *zip(columns, row, strict=True))
        for model, columns in tables
        for row in model.objects.values_list(*columns)
    }
