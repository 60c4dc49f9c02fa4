"""A settlement comes once, twice, changed, cut, or in pieces: its lines always sum to its header."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields.ranges import DateRange
from django.db import connection
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.test.utils import CaptureQueriesContext

from domventas.core.testing import statements
from finance.models import FeeKindMap, FeeRule, Payout, RefundRule, Settlement, SettlementLine
from finance.selectors.settlements import is_balanced, sums_by_kind, unknown_kinds
from finance.services.reconcile import reconcile
from finance.services.settlement_lines import reclassify, resolve_awaiting
from finance.services.settlements import SettlementRefused, ingest
from finance.testing import COMMISSION, NOW, SALE, account, line, order, settlement
from marketplaces.errors import Malformed
from marketplaces.models import Account
from marketplaces.records import SettlementLineRecord

pytestmark = pytest.mark.db


@pytest.fixture
def amazon(acting: Any) -> Account:
    """An Amazon account in Europe with the few words these tests use."""
    FeeKindMap.objects.bulk_create(
        FeeKindMap(channel="amazon", pattern=pattern, event=event, kind=kind)
        for pattern, event, kind in (
            (SALE, "sale", "item_price"),
            (COMMISSION, "sale", "referral_fee"),
            ("refund|itemfees|refundcommission", "refund", "refund_admin_fee"),
            ("other-transaction|*", "account", "other_fee"),
            ("other-transaction|other-transaction|current reserve amount", "account", "reserve"),
        )
    )
    return account()


def book(
    of: Account, lines: list[SettlementLineRecord] | Iterator[SettlementLineRecord], total: str | None, **more: Any
) -> Any:
    """Ingest one statement by API."""
    return ingest(of, settlement(lines, total, **more), raw_id=7, source="api", now=NOW)


def tuples_written() -> int:
    """Rows inserted, updated and deleted by this transaction in finance's tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables"
            " WHERE relname LIKE 'finance\\_%'"
        )
        return int(cursor.fetchone()[0])


def test_lines_are_booked_with_their_meaning_and_sum_to_the_header(amazon: Account) -> None:
    lines = [line("41.85"), line("-8.89", COMMISSION, row=2), line("-3.00", "other-transaction|fee|x", row=3, at="")]
    booked = book(amazon, lines, "29.96")
    stored = Settlement.objects.get()
    assert (booked.status, booked.changed, booked.line_count, booked.difference) == ("loaded", True, 3, 0)
    assert sums_by_kind(stored) == {
        "item_price": Decimal("41.85"), "other_fee": Decimal("-3.00"), "referral_fee": Decimal("-8.89"),
    }  # fmt: skip
    assert is_balanced(stored)
    assert dict(booked.by_kind) == dict(sums_by_kind(stored))


def test_a_header_that_disagrees_is_kept_as_one_unexplained_line(amazon: Account) -> None:
    booked = book(amazon, [line("41.85"), line("-8.89", COMMISSION, row=2)], "35.00")
    assert (booked.status, booked.difference, booked.lines_total) == ("inconsistent", Decimal("2.04"), Decimal("32.96"))
    extra = SettlementLine.objects.get(kind="unexplained")
    assert (extra.amount, extra.state, extra.cause, extra.event) == (
        Decimal("2.04"), "discrepancy", "header_mismatch", "account",
    )  # fmt: skip
    assert is_balanced(Settlement.objects.get())


def test_the_same_settlement_again_writes_nothing(amazon: Account) -> None:
    lines = [line("41.85"), line("-8.89", COMMISSION, row=2)]
    book(amazon, lines, "35.00")
    before = tuples_written()
    again = book(amazon, lines, "35.00")
    assert tuples_written() == before
    assert (again.changed, again.is_new, again.revision) == (False, False, 1)


def test_a_file_and_the_api_are_the_same_settlement(amazon: Account) -> None:
    lines = [line("41.85"), line("-8.89", COMMISSION, row=2)]
    book(amazon, lines, "32.96")
    by_file = ingest(amazon, settlement(reversed(lines), "32.96"), raw_id=8, source="file", now=NOW)
    assert not by_file.changed
    assert SettlementLine.objects.count() == 2


def test_a_settlement_is_known_again_by_every_version_of_the_server(amazon: Account) -> None:
    """Its digest is made of the server's own hashes: were they to change, each settlement would come as a new one."""
    book(amazon, [line("41.850"), line("-8.89", COMMISSION, row=2), line("-8.8900", COMMISSION, row=3)], "24.07")
    digest = Settlement.objects.get().digest
    assert digest == "9eb279889a23031eec95f20e8623149fddbd1790a8b49b043bef5f34e5c77c70"


def test_equal_lines_are_all_kept(amazon: Account) -> None:
    booked = book(amazon, [line("5.00", row=n) for n in (1, 2, 3)], "15.00")
    assert booked.status == "loaded"
    assert sorted(key.partition("#")[2] for key in SettlementLine.objects.values_list("line_key", flat=True)) == [
        "1",
        "2",
        "3",
    ]


def test_a_correction_reverses_the_old_line_and_adds_the_new_one(amazon: Account) -> None:
    book(amazon, [line("41.85"), line("-8.89", COMMISSION, row=2)], "32.96")
    again = book(amazon, [line("41.85"), line("-7.89", COMMISSION, row=2)], "33.96")
    assert (again.changed, again.revision, again.reversed, again.inserted) == (True, 2, 1, 2)
    old = SettlementLine.objects.get(reversed_in=2)
    back = SettlementLine.objects.get(reverses=old.pk)
    new = SettlementLine.objects.get(kind="referral_fee", reverses=None, reversed_in=None)
    assert (old.amount, back.amount, new.amount) == (Decimal("-8.89"), Decimal("8.89"), Decimal("-7.89"))
    assert back.line_key == f"r2:{old.line_key}"
    assert is_balanced(Settlement.objects.get())
    assert sums_by_kind(Settlement.objects.get())["referral_fee"] == Decimal("-7.89")


def test_a_correction_taken_back_brings_the_first_line_again(amazon: Account) -> None:
    for fee, total in (("-8.89", "32.96"), ("-7.89", "33.96"), ("-8.89", "32.96")):
        book(amazon, [line("41.85"), line(fee, COMMISSION, row=2)], total)
    stored = Settlement.objects.get()
    assert (stored.revision, stored.lines_total) == (3, Decimal("32.96"))
    assert sums_by_kind(stored)["referral_fee"] == Decimal("-8.89")
    assert is_balanced(stored)


def test_a_line_with_an_id_whose_amount_changed_is_reversed_and_booked_anew(amazon: Account) -> None:
    book(amazon, [line("41.85", ref="T1")], "41.85")
    book(amazon, [line("40.00", ref="T1")], "40.00")
    assert is_balanced(Settlement.objects.get())
    assert list(SettlementLine.objects.order_by("pk").values_list("line_key", "amount")) == [
        ("T1", Decimal("41.85")), ("r2:T1", Decimal("-41.85")), ("v2:T1", Decimal("40.00")),
    ]  # fmt: skip


def test_a_corrected_header_replaces_the_unexplained_line(amazon: Account) -> None:
    book(amazon, [line("41.85")], "50.00")
    again = book(amazon, [line("41.85")], "41.85")
    stored = Settlement.objects.get()
    assert (again.revision, stored.status, stored.difference) == (2, "loaded", 0)
    assert is_balanced(stored)
    assert SettlementLine.objects.filter(kind="unexplained", reverses=None, reversed_in=None).count() == 0


def test_a_document_that_turns_out_cut_leaves_nothing(amazon: Account) -> None:
    def cut() -> Iterator[SettlementLineRecord]:
        yield line("41.85")
        raise Malformed("Row 3 has 7 of 24 columns.")

    with pytest.raises(Malformed, match="Row 3"):
        book(amazon, cut(), "41.85")
    assert not Settlement.objects.exists()
    assert not SettlementLine.objects.exists()


def test_lines_in_another_currency_are_refused_naming_the_row(amazon: Account) -> None:
    with pytest.raises(SettlementRefused, match="Row 2: currency SEK in a settlement in EUR"):
        book(amazon, [line("41.85"), line("5.00", row=2, currency="SEK")], "46.85")
    assert not Settlement.objects.exists()


def test_unknown_words_are_counted_and_get_their_meaning_later(amazon: Account) -> None:
    booked = book(amazon, [line("1.00", "new|thing|x"), line("2.00", "new|thing|x", row=2), line("-1", row=3)], "2.00")
    assert booked.unknown_kinds == {"new|thing|x": 2}
    assert unknown_kinds(Settlement.objects.get()) == {"new|thing|x": 2}
    assert reclassify("amazon") == 0
    FeeKindMap.objects.create(channel="amazon", pattern="new|*|x", event="account", kind="goodwill")
    assert reclassify("amazon") == 2
    assert unknown_kinds(Settlement.objects.get()) == {}


def test_a_reversed_line_that_gets_its_meaning_later_waits_for_no_order(amazon: Account) -> None:
    odd = line("-2.00", "order|itemfees|novelty", order_ref="O-9")
    book(amazon, [line("41.85"), odd], "39.85")
    ingest(amazon, settlement([line("41.85")], "41.85"), raw_id=8, source="api", now=NOW)
    reconcile(now=NOW)
    FeeKindMap.objects.create(channel="amazon", pattern="order|itemfees|novelty", event="sale", kind="other_fee")
    assert reclassify("amazon") == 2
    reconcile(now=NOW)
    assert set(SettlementLine.objects.values_list("state", flat=True)) == {"reconciled"}


def test_exact_words_win_over_patterns_and_longer_patterns_over_shorter(amazon: Account) -> None:
    FeeKindMap.objects.create(
        channel="amazon", pattern="other-transaction|storage*", event="account", kind="storage_fee"
    )
    types = (
        "other-transaction|storage|july",
        "other-transaction|x",
        "other-transaction|other-transaction|current reserve amount",
    )
    book(amazon, [line("-1.00", raw, row=row) for row, raw in enumerate(types)], "-3.00")
    assert list(SettlementLine.objects.order_by("ordinal").values_list("kind", "money_class")) == [
        ("storage_fee", "profit"), ("other_fee", "profit"), ("reserve", "cash"),
    ]  # fmt: skip


def test_order_lines_are_found_by_id_then_sku_then_being_the_only_one(amazon: Account) -> None:
    order(amazon, "O-2", lines=[("A", "SKU-A"), ("B", "SKU-B")])
    order(amazon, "O-1", lines=[("C", "SKU-C")])
    order(amazon, "O-3", lines=[("D", "SKU-D"), ("E", "SKU-D")])
    asked: list[tuple[str, str | None, str | None]] = [
        ("O-2", "A", None),
        ("O-2", "other id", "SKU-B"),
        ("O-1", None, None),
        ("O-2", None, None),
        ("O-3", None, "SKU-D"),
        ("O-9", "Z", "SKU-Z"),
    ]
    book(
        amazon,
        [line("1.00", row=n, order_ref=ref, order_line_ref=item, sku=sku) for n, (ref, item, sku) in enumerate(asked)],
        "6.00",
    )
    rows = SettlementLine.objects.order_by("ordinal").values_list("order_line__external_id", "state")
    assert list(rows) == [
        ("A", "new"), ("B", "new"), ("C", "new"), (None, "awaiting"), (None, "awaiting"), (None, "awaiting"),
    ]  # fmt: skip


def test_an_order_that_comes_late_takes_its_waiting_lines(amazon: Account) -> None:
    rule(amazon, rate="0.19")
    book(amazon, [line("-8.89", COMMISSION, order_ref="O-9", at="")], "-8.89")
    assert SettlementLine.objects.get().state == "awaiting"
    assert resolve_awaiting() == 0
    order(amazon, "O-9")
    assert resolve_awaiting(amazon) == 1
    late = SettlementLine.objects.get()
    assert (late.state, late.site, late.net_amount, late.tax_amount) == (
        "new", "amazon.de", Decimal("-7.47"), Decimal("-1.42"),
    )  # fmt: skip


def rule(of: Account, *, rate: str, site: str = "amazon.de") -> FeeRule:
    """A referral fee whose tax stands inside the line."""
    return FeeRule.objects.create(
        site=site,
        kind="referral_fee",
        price_band=NumericRange(None, None),
        weight_band=NumericRange(None, None),
        basis="gross_incl_tax",
        rate=Decimal("0.15"),
        currency="EUR",
        fee_tax_rate=Decimal(rate),
        is_tax_in_line=True,
        valid=DateRange(date(2025, 1, 1), None),
        source="test",
    )


@pytest.mark.parametrize(
    ("site", "amount", "net", "tax"),
    [
        ("Amazon.de", "-8.89", "-7.47", "-1.42"),
        ("A13V1IB3VIYZZH", "-8.96", "-7.47", "-1.49"),
        ("amazon.fr", "0.01", "0.01", "0.00"),
        ("Amazon.se", "-8.89", "-8.89", "0.00"),
    ],
)
def test_tax_inside_a_fee_is_carved_out_half_up(amazon: Account, site: str, amount: str, net: str, tax: str) -> None:
    rule(amazon, rate="0.19")
    rule(amazon, rate="0.20", site="amazon.fr")
    book(amazon, [line(amount, COMMISSION, at=site)], amount)
    booked = SettlementLine.objects.get()
    assert (booked.net_amount, booked.tax_amount) == (Decimal(net), Decimal(tax))


def test_what_a_refund_keeps_is_taxed_inside_its_line_like_the_fee_it_is_kept_from(amazon: Account) -> None:
    rule(amazon, rate="0.19")
    RefundRule.objects.create(
        site="amazon.de",
        kind="referral_fee",
        share_returned=1,
        retained_kind="refund_admin_fee",
        retained_rate=Decimal("0.2"),
        currency="EUR",
        fee_tax_rate=Decimal("0.19"),
        valid=DateRange(date(2026, 1, 1), None),
        source="test",
    )
    book(amazon, [line("-1.77", "refund|itemfees|refundcommission", order_ref="O-9", refund_ref="R1")], "-1.77")
    kept = SettlementLine.objects.get()
    assert (kept.event, kept.net_amount, kept.tax_amount) == ("refund", Decimal("-1.49"), Decimal("-0.28"))


def test_the_header_announces_the_transfer(amazon: Account) -> None:
    record = settlement([line("41.85")], "41.85")
    ingest(amazon, record, raw_id=None, source="api", now=NOW - timedelta(days=5))
    assert Payout.objects.get().state == "pending"
    ingest(amazon, settlement([line("41.85")], "41.85"), raw_id=None, source="api", now=NOW)
    payout = Payout.objects.get()
    assert (payout.state, payout.amount, payout.paid_on) == ("paid", Decimal("41.85"), date(2026, 10, 28))


@pytest.mark.parametrize("changed", [False, True])
def test_the_number_of_statements_does_not_grow_with_the_lines(amazon: Account, changed: bool) -> None:
    book(amazon, [line("1.00", order_ref="S1")], "1.00", ref="S1")  # some things an account is asked once
    counts = []
    for size in (20, 2000):
        ref = f"S{size}"
        lines = [line("1.00", row=n, order_ref=f"O-{n}") for n in range(size)]
        if changed:
            book(amazon, lines[1:], f"{size - 1}.00", ref=ref)
        with CaptureQueriesContext(connection) as queries:
            book(amazon, lines, f"{size}.00", ref=ref)
        counts.append(statements(queries))
    assert counts[0] == counts[1]
    assert SettlementLine.objects.count() == 2021


def test_another_client_sees_nothing(amazon: Account, client2: Any) -> None:
    from domventas.core.tenancy import acting_for

    book(amazon, [line("41.85")], "41.85")
    with acting_for(client2):
        assert not Settlement.objects.exists()
        assert not SettlementLine.objects.exists()
