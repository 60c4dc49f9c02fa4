"""Judging only what is new ends where judging everything anew would: whatever comes, in whatever order."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finance.models import DeviationSum, Discrepancy, Receivable, Settlement, SettlementLine, Transaction
from finance.services import discrepancies, receivables, steps
from finance.services import reconcile as reconcile_module
from finance.services.reconcile import reconcile
from finance.tests.golden import article, dec, settled, sold, what_a_full_run_changes
from marketplaces.models import Account
from orders.models import OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
PAID = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
#: What is charged instead of the right fee: the first two are off by a rate, as a changed rule would be.
FEES = ("-10.67", "-10.67", "-10.67", "-10.67", "-7.11", "-9.40", "-8.89", "-8.89")
START = date(2026, 9, 1)


@pytest.mark.parametrize(
    ("seed", "few"),
    [(0, steps.FEW), *(pytest.param(n, few, marks=pytest.mark.slow) for n, few in ((1, steps.FEW), (2, 5), (3, 0)))],
)
def test_every_run_leaves_what_a_full_one_would_find(
    amazon: Account, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (receivables, reconcile_module):
        monkeypatch.setattr(module, "FEW", few)
    chance = random.Random(seed)
    open_lines: list[OrderLine] = []
    for week in range(7):
        today = START + timedelta(days=7 * week)
        now = datetime(today.year, today.month, today.day, 6, tzinfo=UTC)
        open_lines += [_sale(amazon, week, n, today, now, chance) for n in range(14)]
        chance.shuffle(open_lines)
        paid, open_lines = open_lines[: chance.randrange(4, 18)], open_lines[chance.randrange(4, 18) :]
        if week:
            _statement(amazon, week, paid, today, chance)
        _something_else(amazon, week, now, chance)
        reconcile(now=now)
        reconcile(now=now)  # a decision about what is gone ends with the next run
        assert "\n".join(what_a_full_run_changes(_stored, now)) == ""


def _sale(of: Account, week: int, n: int, today: date, now: datetime, chance: random.Random) -> OrderLine:
    on = today - timedelta(days=chance.randrange(12))
    owner = chance.choice(["seller", "marketplace"])
    line = sold(of, f"O-{week}-{n}", GOODS, sku=article(), on=on, fulfillment=owner)
    OrderLine.objects.filter(pk=line.pk).update(changed_at=now)
    return line


def _statement(of: Account, week: int, lines: list[OrderLine], today: date, chance: random.Random) -> None:
    rows: list[tuple[OrderLine | None, str, str, str]] = []
    for line in lines:
        amounts = {**PAID, "referral_fee": chance.choice(FEES), "item_tax": chance.choice(["7.95", "7.95", "7.94"])}
        rows += [(line, "sale", kind, amount) for kind, amount in amounts.items() if chance.random() > 0.05]
    rows.append((None, "account", chance.choice(["unknown", "storage_fee"]), "-5.00"))
    total = sum((dec(row[3]) for row in rows), Decimal(0)) + chance.choice([0, 0, 1])
    settled(of, rows, ref=f"S{week}", total=str(total), start=today - timedelta(days=chance.choice([7, 21])))


def _something_else(of: Account, week: int, now: datetime, chance: random.Random) -> None:
    """Bookings, decisions, a correction, a statement that moves or goes back to waiting."""
    for receivable in chance.sample(list(Receivable.objects.order_by("pk")), k=min(3, Receivable.objects.count())):
        Transaction.objects.create(
            account=of, external_id=f"T{week}-{receivable.pk}", state=chance.choice(["deferred", "released"]),
            event="sale", amount=1, currency="EUR", posted_at=now, order_ref=receivable.line.order.external_id,
            release_at=now + timedelta(days=chance.randrange(-9, 9)),
        )  # fmt: skip
    findings = list(Discrepancy.objects.filter(state="open").order_by("pk").values_list("pk", flat=True))
    for pk in chance.sample(findings, k=min(2, len(findings))):
        if chance.random() < 0.5:
            until = (now + timedelta(days=chance.choice([3, 10]))).date()
            discrepancies.accept([pk], until=until, note="seen", by="x", now=now)
        else:
            discrepancies.claim([pk], note="C-1", by="x")
    decided = Discrepancy.objects.filter(state__in=["accepted", "claimed"]).order_by("pk").values_list("pk", flat=True)
    if chance.random() < 0.4:
        discrepancies.reopen(list(decided[:1]), by="x")
    if chance.random() < 0.4 and (wrong := SettlementLine.objects.filter(amount=dec("-10.67")).first()):
        SettlementLine.objects.filter(pk=wrong.pk).update(amount=dec("-8.89"), net_amount=dec("-8.89"), state="new")
    if chance.random() < 0.3 and (moved := Settlement.objects.order_by("pk").first()):
        moved.period_end = (moved.period_end or now) + timedelta(days=chance.choice([-6, 6]))
        moved.is_seen = False
        moved.save()


def _stored() -> set[tuple[Any, ...]]:
    sums = ("key", "line_count", "signs", "expected", "actual", "difference", "first_on", "is_run")
    owed = (
        "line",
        "state",
        "reason",
        "open",
        "release_on",
        "due_on",
        "settled_on",
        "look_on",
        "sales",
        "fees",
        "withheld",
        "refunds",
        "awaited",
        "awaited_refunds",
        "sold_on",
        "refunded_on",
    )
    found = ("fingerprint", "cause", "state", "amount", "happened_on", "note")
    return {
        *DeviationSum.objects.values_list(*sums),
        *Receivable.objects.values_list(*owed),
        *Discrepancy.objects.values_list(*found),
    }
