"""Statements of Otto come as files only: booked whole or refused in words; before one comes, nothing is evidence."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from domventas.core.tenancy import acting_for
from finance.models import Discrepancy, Payout, Receivable, Settlement, SettlementLine
from finance.selectors.are_we_paid import absent_settlements
from finance.selectors.receivables import expected_weeks, overdue_or_in_question, without_evidence
from finance.selectors.settlements import is_balanced
from finance.services.reconcile import reconcile
from finance.services.reference import sync_reference
from finance.services.settlement_files import FileRefused, import_file
from finance.testing import account
from finance.tests.golden import article, sold
from finance.tests.otto_text import ROWS, TOTAL, comma, statement
from marketplaces.models import Account, RawDocument
from orders.models import OrderLine

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture
def otto(client_dv: Any) -> Any:
    """An Otto account with its shipped rules."""
    with acting_for(client_dv, actor="test"):
        sync_reference("otto")
        yield account("otto-de", sites=["otto.de"])


def test_a_statement_is_booked_whole_whatever_its_dress(otto: Account) -> None:
    booked = import_file(otto, comma(statement(total="200.00")).encode("utf-16"), name="f.csv", now=NOW)
    stored = Settlement.objects.get()
    assert (booked.line_count, booked.difference, stored.status) == (8, Decimal("-20.27"), "inconsistent")
    assert SettlementLine.objects.filter(kind="unexplained").count() == 1
    assert is_balanced(stored)
    assert not booked.unknown_kinds
    assert "decimal comma" in stored.notes


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"settlement-id\ttotal-amount\n", "f.csv: This is no statement: its first line should name the columns"),
        (statement(count="9").encode(), "f.csv: Row 7, field rows: it counts 9 lines, above it stand 4."),
    ],
    ids=["not ours", "found cut while its lines are read"],
)
def test_a_refused_file_books_nothing_and_is_kept(otto: Account, body: bytes, words: str) -> None:
    with pytest.raises(FileRefused) as refused:
        import_file(otto, body, name="f.csv", now=NOW)
    assert refused.value.message.startswith(words)
    assert not Settlement.objects.exists()
    assert not SettlementLine.objects.exists()
    assert RawDocument.objects.filter(pk=refused.value.raw_id, flow="settlements").count() == 1


def test_a_statement_is_a_payout_and_its_days_are_german_ones(otto: Account) -> None:
    import_file(otto, statement().encode(), name="f.csv", now=NOW)
    stored, payout = Settlement.objects.get(), Payout.objects.get()
    assert stored.period_start == datetime(2026, 10, 18, 22, tzinfo=UTC)
    assert stored.period_end == datetime(2026, 10, 25, 23, tzinfo=UTC), "the clocks were put back that Sunday"
    assert (payout.amount, payout.paid_on, payout.state) == (Decimal(TOTAL), date(2026, 10, 28), "paid")


def test_a_statement_again_changes_nothing_and_a_corrected_one_is_a_revision(otto: Account) -> None:
    import_file(otto, statement().encode(), name="f.csv", now=NOW)
    assert not import_file(otto, comma(statement()).encode("utf-16"), name="copy.csv", now=NOW).changed
    fixed = (*ROWS[:1], ("O-1", "P-1", "sale", "commission", "-14.00", "-2.66"), *ROWS[2:])
    again = import_file(otto, statement(fixed).encode(), name="fixed.csv", now=NOW)
    assert (again.changed, again.revision, again.reversed) == (True, 2, 2)
    assert is_balanced(Settlement.objects.get())


def test_a_word_nobody_mapped_is_shown_as_unknown(otto: Account) -> None:
    odd = (*ROWS, ("O-1", "P-1", "sale", "quiet_hours_handling", "-1.10", "-0.21"))
    booked = import_file(otto, statement(odd).encode(), name="f.csv", now=NOW)
    assert booked.unknown_kinds == {"sale|quiet_hours_handling": 1, "sale|quiet_hours_handling|vat": 1}


def test_the_command_books_a_dropped_file(otto: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "OM-7-2026-W43.csv"
    file.write_bytes(comma(statement()).encode())
    call_command("import_settlement", str(file), account="otto-de", json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["settlement"], told["header_total"], told["balanced"]) == ("OM-7-2026-W43", TOTAL, True)
    assert told["by_kind"]["referral_fee_tax"] == "-2.85"


# --- no evidence yet ---------------------------------------------------------------------------------------------


def a_piece(of: Account, ref: str, shipped: date) -> OrderLine:
    """A piece for 119.00, dispatched that day; Otto credits it 30 days later."""
    goods = {"item_price": "100.00", "item_tax": "19.00"}
    return sold(
        of, ref, goods, at="otto.de", on=shipped - timedelta(days=1), sku=article(), fulfillment="seller",
        delivered=False,
    )  # fmt: skip


def states() -> dict[str, str]:
    return dict(Receivable.objects.values_list("line__order__external_id", "state"))


RIGHT = (
    ("item_price", "100.00", "19.00"), ("commission", "-16.66", "-3.17"),
)  # fmt: skip


def week(monday: date, paid: tuple[str, ...] = ()) -> bytes:
    """The statement from that Monday to the next, with the pieces paid in it."""
    rows = tuple((ref, f"{ref}-1", "sale", kind, net, vat) for ref in paid for kind, net, vat in RIGHT)
    period = (monday.isoformat(), (monday + timedelta(days=7)).isoformat())
    return statement(rows, ref=f"W-{monday}", period=period).encode()


def test_nothing_is_late_at_otto_before_a_statement_covers_its_day(otto: Account) -> None:
    old = a_piece(otto, "O-1", date(2026, 9, 1))
    a_piece(otto, "O-2", date(2026, 11, 10))
    reconcile(now=NOW)
    assert states() == {"O-1": "no_evidence", "O-2": "no_evidence"}
    assert not Discrepancy.objects.exists()
    assert overdue_or_in_question(today=NOW.date()) == []
    assert expected_weeks(today=NOW.date()) == []
    (unproved,) = without_evidence()
    # Twice 119.00, less 14 % commission and its VAT (16.66 + 3.17).
    assert (unproved.lines, unproved.since, unproved.open) == (2, date(2026, 9, 1), Decimal("198.34"))
    # Credited on 1 October; the week from 5 October says nothing about it.
    import_file(otto, week(date(2026, 10, 5)), name="a.csv", now=NOW)
    reconcile(now=NOW)
    assert states() == {"O-1": "no_evidence", "O-2": "no_evidence"}
    import_file(otto, week(date(2026, 9, 28)), name="b.csv", now=NOW)
    reconcile(now=NOW)
    assert states() == {"O-1": "overdue", "O-2": "no_evidence"}
    found = Discrepancy.objects.get()
    assert (found.cause, found.line_ref) == ("payment_missing", old.external_id)
    assert [row.reason for row in overdue_or_in_question(today=NOW.date())] == ["not_in_settlement"]


def test_a_piece_in_a_statement_is_paid_and_its_neighbors_without_one_are_not_judged(otto: Account) -> None:
    a_piece(otto, "O-1", date(2026, 9, 1))
    a_piece(otto, "O-2", date(2026, 9, 12))
    import_file(otto, week(date(2026, 9, 28), ("O-1",)), name="a.csv", now=NOW)
    reconcile(now=NOW)
    assert states() == {"O-1": "paid", "O-2": "no_evidence"}
    assert not Discrepancy.objects.exists()


def test_the_statement_after_the_last_one_is_asked_for_with_what_waits_for_it(otto: Account) -> None:
    a_piece(otto, "O-1", date(2026, 9, 1))
    a_piece(otto, "O-2", date(2026, 9, 8))
    import_file(otto, week(date(2026, 9, 28), ("O-1",)), name="a.csv", now=NOW)
    reconcile(now=NOW)
    (absent,) = absent_settlements(today=NOW.date())
    assert (absent.what, absent.start, absent.account_code) == ("after", date(2026, 10, 5), "otto-de")
    assert absent.blocked > 0
