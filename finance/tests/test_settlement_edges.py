"""Settlements at their edges: another currency than the order's, and a transfer that a correction takes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from finance.models import FeeKindMap, LineReconciliation, Payout, Settlement, SettlementLine
from finance.selectors.settlements import is_balanced
from finance.services.reconcile import reconcile
from finance.services.reference import sync_reference
from finance.services.settlement_lines import resolve_awaiting
from finance.services.settlements import ingest
from finance.services.transactions import load_transactions
from finance.testing import NOW, SALE, account, line, logged, order, settlement
from marketplaces.models import Account

pytestmark = pytest.mark.db


@pytest.fixture
def amazon(acting: Any) -> Account:
    """An Amazon account that knows the word for a sale."""
    FeeKindMap.objects.create(channel="amazon", pattern=SALE, event="sale", kind="item_price")
    return account()


def test_money_in_another_currency_than_the_order_is_not_held_against_it(amazon: Account) -> None:
    order(amazon, "O1")
    lines = [line("470.00", order_ref="O1", order_line_ref="L1", currency="SEK")]
    ingest(amazon, settlement(lines, "470.00", currency="SEK"), raw_id=1, source="api", now=NOW)
    reconcile(now=NOW)
    assert not LineReconciliation.objects.filter(actual=Decimal("470.00")).exists()
    stored = SettlementLine.objects.get()
    assert (stored.order_line_id, stored.state) == (None, "awaiting")


def test_an_order_that_comes_later_in_another_currency_does_not_take_the_money(amazon: Account) -> None:
    lines = [line("470.00", order_ref="O1", order_line_ref="L1", currency="SEK")]
    ingest(amazon, settlement(lines, "470.00", currency="SEK"), raw_id=1, source="api", now=NOW)
    order(amazon, "O1")
    assert resolve_awaiting() == 0


def test_a_line_that_waited_keeps_the_site_it_names_itself(amazon: Account) -> None:
    lines = [line("41.85", order_ref="O1", order_line_ref="L1", at="Amazon.fr")]
    ingest(amazon, settlement(lines, "41.85"), raw_id=1, source="api", now=NOW)
    order(amazon, "O1")
    assert resolve_awaiting() == 1
    assert SettlementLine.objects.get().site == "amazon.fr"


def test_a_correction_below_zero_takes_the_announced_transfer_back(amazon: Account) -> None:
    ingest(amazon, settlement([line("41.85")], "41.85"), raw_id=1, source="api", now=NOW)
    assert Payout.objects.get().amount == Decimal("41.85")
    ingest(amazon, settlement([line("-5.00")], "-5.00"), raw_id=2, source="api", now=NOW)
    assert not Payout.objects.exists()


def test_a_correction_that_moves_the_transfer_changes_what_was_announced(amazon: Account) -> None:
    ingest(amazon, settlement([line("41.85")], "41.85"), raw_id=1, source="api", now=NOW)
    moved = replace(settlement([line("40.00")], "40.00"), paid_on=date(2026, 11, 4))
    ingest(amazon, moved, raw_id=2, source="api", now=NOW)
    payout = Payout.objects.get()
    assert (payout.state, payout.amount, payout.paid_on) == ("pending", Decimal("40.00"), date(2026, 11, 4))


def test_a_transaction_that_moves_to_another_cycle_leaves_the_first_one(acting: Any) -> None:
    shop = account("bunnings-au", sites=["bunnings.com.au"])
    sync_reference("bunnings")
    for ref, total in (("C1", "30.00"), ("C2", "12.00")):
        ingest(shop, settlement(None, total, ref=ref, currency="AUD"), raw_id=1, source="api", now=NOW)
    load_transactions(shop, [logged("T1", "20.00"), logged("T2", "10.00")], raw_id=1, now=NOW)
    load_transactions(shop, [logged("T2", "12.00", ref="C2")], raw_id=2, now=NOW)
    standing = SettlementLine.objects.filter(reverses=None, reversed_in=None).exclude(kind="unexplained")
    assert list(standing.order_by("settlement_ref").values_list("settlement_ref", "amount")) == [
        ("C1", Decimal("20.00")), ("C2", Decimal("12.00")),
    ]  # fmt: skip


def test_a_cycle_all_of_whose_transactions_have_moved_keeps_none_of_them(acting: Any) -> None:
    shop = account("bunnings-au", sites=["bunnings.com.au"])
    sync_reference("bunnings")
    for ref in ("C1", "C2"):
        ingest(shop, settlement(None, "20.00", ref=ref, currency="AUD"), raw_id=1, source="api", now=NOW)
    load_transactions(shop, [logged("T1", "20.00")], raw_id=1, now=NOW)
    load_transactions(shop, [logged("T1", "20.00", ref="C2")], raw_id=2, now=NOW)
    standing = SettlementLine.objects.filter(reverses=None, reversed_in=None).order_by("settlement_ref")
    assert list(standing.values_list("settlement_ref", "kind", "amount")) == [
        ("C1", "unexplained", Decimal("20.00")), ("C2", "item_price", Decimal("20.00")),
    ]  # fmt: skip
    assert all(is_balanced(head) for head in Settlement.objects.all())
