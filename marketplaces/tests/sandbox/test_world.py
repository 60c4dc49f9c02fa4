"""The world: the same for the same seed, right to the cent where nothing is planted, wrong exactly where it is."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from marketplaces.sandbox.world.amounts import line_amounts, referral
from marketplaces.sandbox.world.build import build_world
from marketplaces.sandbox.world.faults import _UNHEARD_OF
from marketplaces.sandbox.world.model import World
from marketplaces.sandbox.world.places import (
    ACCOUNTS,
    fba_unit_cents,
    half_up,
    otto_points,
    referral_cents,
    referral_points,
)

from .conftest import NOW

FAULTS = {
    "fee_overcharged",
    "payment_missing",
    "charged_twice",
    "refund_fee_wrong",
    "unknown_kind",
    "header_mismatch",
    "tax_one_cent",
}


def make(*, seed: int = 1, now: datetime = NOW, orders: int = 300, days: int = 60, faults: str = "payment") -> World:
    return build_world(seed=seed, now=now, days=days, orders=orders, faults=faults)


@pytest.fixture(scope="module")
def world() -> World:
    return make()


def planted(world: World) -> list[dict[str, Any]]:
    return [row for row in world.truth if row["type"] == "payment_discrepancy"]


def test_the_same_seed_and_now_give_the_same_world_to_the_byte(world: World) -> None:
    assert pickle.dumps(make()) == pickle.dumps(world)


def test_another_seed_gives_another_world(world: World) -> None:
    assert pickle.dumps(make(seed=2)) != pickle.dumps(world)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("weekday", range(7))
def test_every_fault_is_planted_ten_times_per_marketplace_on_any_day(seed: int, weekday: int) -> None:
    now = NOW + timedelta(days=weekday)
    visible = [row for row in planted(make(seed=seed, now=now)) if str(row["visible_from"]) <= now.isoformat()]
    counts = Counter((str(row["marketplace"]), str(row["fault"])) for row in visible if row["marketplace"] != "otto")
    assert {m for m, _ in counts} == {"amazon", "bunnings"}
    assert {fault for _, fault in counts} == FAULTS
    assert min(counts.values()) >= 10


@pytest.mark.parametrize("weekday", [0, 3, 6])
def test_every_fault_is_planted_ten_times_at_otto_in_a_world_of_the_demos_size(weekday: int) -> None:
    """A small world will not do: Otto credits after 30 days, so that two months hold only four weeks of its money."""
    now = NOW + timedelta(days=weekday)
    visible = [row for row in planted(make(now=now, orders=12_000, days=100)) if row["marketplace"] == "otto"]
    counts = Counter(str(row["fault"]) for row in visible if str(row["visible_from"]) <= now.isoformat())
    assert set(counts) == FAULTS
    assert min(counts.values()) >= 10


@pytest.mark.parametrize("weekday", range(7))
def test_a_statement_tells_a_word_nobody_has_met_once_for_the_account(weekday: int) -> None:
    """Equal words of one statement are one finding, so planted twice one of them would count as missed."""
    world = make(seed=7, now=datetime(2026, 11, 20 + weekday, tzinfo=UTC), days=40)
    told = Counter(
        (statement.ref, row.words)
        for statements in world.statements.values()
        for statement in statements
        for entry in statement.entries
        if entry.line is None
        for row in entry.rows
        if any(re.sub(r"[ _]", "", name.lower()) in re.sub(r"[ _]", "", row.words[-1].lower()) for name in _UNHEARD_OF)
    )
    assert sum(told.values()) > 10 and set(told.values()) == {1}


def test_no_line_carries_two_faults(world: World) -> None:
    lines = Counter(row["refs"]["line"] for row in planted(world) if row["refs"]["line"])
    assert set(lines.values()) == {1}


def test_only_the_odd_cent_is_expected_to_be_tolerated(world: World) -> None:
    tolerated = {row["fault"] for row in planted(world) if row["expected"] == "tolerated"}
    assert tolerated == {"tax_one_cent"}
    assert {row["amount"] for row in planted(world) if row["fault"] == "tax_one_cent"} == {"0.01", "-0.01"}


def test_overcharges_do_not_look_like_one_rate_change() -> None:
    amounts = [row["amount"] for row in planted(make()) if row["fault"] == "fee_overcharged"]
    assert len(set(amounts)) > len(amounts) * 0.8


def test_a_world_without_faults_has_no_payment_discrepancy() -> None:
    world = make(faults="none")
    assert planted(world) == []
    assert {row["type"] for row in world.truth} == {"missing_product_data"}
    assert not any(s.header_delta for statements in world.statements.values() for s in statements)


def test_an_unknown_plan_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="payment, none"):
        make(faults="storm")


def test_planted_amounts_are_the_difference_to_the_world_without_faults() -> None:
    """Both worlds are equal but for the plan, so each line's books differ by what the truth says."""
    right, wrong = make(faults="none"), make()
    for code, account in ACCOUNTS.items():
        paid = Counter[str]()
        for world, sign in ((wrong, 1), (right, -1)):
            for entry in world.entries[code]:
                if entry.line:
                    paid[entry.line.ref] += sign * entry.total
        said = {
            row["refs"]["line"]: round(float(str(row["amount"])) * 100)
            for row in planted(wrong)
            if row["account_ref"] == account.external_id and row["refs"]["line"]
        }
        assert {line: cents for line, cents in paid.items() if cents} == said


def test_rows_of_a_statement_sum_to_its_header_but_where_a_mismatch_is_planted(world: World) -> None:
    told = {row["refs"]["settlement"] for row in planted(world) if row["fault"] == "header_mismatch"}
    for statements in world.statements.values():
        for statement in statements:
            assert (statement.total != statement.rows_total) == (statement.ref in told)


def test_a_reserve_comes_back_with_the_next_settlement(world: World) -> None:
    for code in ("amazon-eu", "amazon-us"):
        held = 0
        for statement in world.statements[code]:
            rows = {row.words[2]: row.cents for entry in statement.entries for row in entry.rows}
            assert rows.get("Previous Reserve Amount Balance", 0) == held
            held = -rows.get("Current Reserve Amount", 0)
        assert held >= 0


def test_every_delivered_line_is_paid_once_and_in_time() -> None:
    world = make(faults="none", orders=1000)
    for code, account in ACCOUNTS.items():
        issued = {s.ref: s.issued_at for s in world.statements[code]}
        settled = Counter(e.line.ref for s in world.statements[code] for e in s.entries if e.line and e.event == "sale")
        for order in world.orders[code]:
            for line in order.lines:
                if line.delivered_at and line.delivered_at < NOW:
                    assert settled[line.ref] == 1
        for entry in world.entries[code]:
            if entry.event == "sale" and entry.line and entry.line.delivered_at and entry.statement:
                assert issued[entry.statement] <= entry.line.delivered_at + timedelta(days=account.overdue_days)


def test_nothing_in_the_statement_that_never_comes_is_overdue_now() -> None:
    for seed in range(5):
        world = make(seed=seed)
        for code in ("amazon-us", "bunnings-au"):
            (withheld,) = [s for s in world.statements[code] if s.is_withheld]
            assert withheld.issued_at <= NOW
            limit = NOW - timedelta(days=ACCOUNTS[code].overdue_days)
            lines = [e.line for e in withheld.entries if e.event == "sale" and e.line]
            assert all(line.delivered_at and line.delivered_at > limit for line in lines)


def test_fees_follow_the_schedule() -> None:
    before, after = date(2026, 9, 30), date(2026, 10, 1)
    assert [referral_points("amazon.de", "tools", 5000, day) for day in (before, after)] == [1300, 1200]
    assert [referral_points("amazon.fr", "tools", 5000, day) for day in (before, after)] == [1300, 1300]
    assert referral_cents("amazon.de", "beauty", 1000, after) == 80
    assert referral_cents("amazon.de", "beauty", 1001, after) == 150
    assert referral_cents("amazon.com", "sports", 100, after) == 30
    assert referral_cents("bunnings.com.au", "lighting", 9995, after) == 1249
    assert [fba_unit_cents("amazon.fr", grams) for grams in (250, 251, 20000)] == [342, 393, 1140]
    assert [otto_points("tools", cents) for cents in (4999, 5000, 14999, 15000)] == [1400, 1300, 1300, 1200]
    assert [half_up(5, 10), half_up(-5, 10), half_up(4, 10), half_up(15, 10)] == [1, -1, 0, 2]


def test_a_line_is_worth_what_paper_says(world: World) -> None:
    """2 × 24.90 of kitchenware on amazon.de, shipped by the seller for 4.90: 15 % of 54.70 = 8.21 (8.205)."""
    order = next(o for o in world.orders["amazon-eu"] if o.site == "amazon.de")
    product = replace(order.lines[0].product, category="home_kitchen")
    line = replace(order.lines[0], product=product, quantity=2, unit_cents=2490, shipping_cents=490, discount_cents=0)
    amounts = line_amounts(order, line)
    assert (amounts.principal, amounts.tax, amounts.shipping, amounts.shipping_tax) == (4185, 795, 412, 78)
    assert amounts.gross == 5470
    assert referral(order, line, amounts) == 821
    half = line_amounts(order, line, 1)
    assert (half.principal, half.tax, half.gross) == (2093, 398, 2491)


def test_no_tools_are_sold_in_the_night_of_the_rate_change() -> None:
    start, end = datetime(2026, 9, 30, 20, tzinfo=UTC), datetime(2026, 10, 1, 4, tzinfo=UTC)
    world = make(orders=3000, days=100)
    moments = [order.created_at for orders in world.orders.values() for order in orders]
    assert any(moment > end for moment in moments)
    assert not any(start <= moment < end for moment in moments)
