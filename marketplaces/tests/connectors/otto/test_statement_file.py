"""Otto's statement files: every dress they come in, and what is refused with the exact words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from finance.tests.otto_text import ROWS, TOTAL, comma, gross_of, statement
from marketplaces.connectors.otto.statement_file import COLUMNS, parse_settlement
from marketplaces.errors import Malformed
from marketplaces.records import SettlementLineRecord, SettlementRecord
from marketplaces.sandbox.wire import otto_statement


@dataclass(frozen=True)
class Case:
    """A file, and what becomes of it: lines and total when it is read, the message when it is refused."""

    name: str
    body: bytes
    total: str = TOTAL
    refused: str = ""
    note: str = ""
    lines: int = 8


def cut(text: str, *, rows: int, fields: int) -> bytes:
    """The file up to some fields of a row."""
    lines = text.split("\n")
    return ("\n".join(lines[: rows - 1]) + "\n" + ";".join(lines[rows - 1].split(";")[:fields])).encode()


def without(text: str, row: int) -> bytes:
    """The file without one of its rows."""
    lines = text.split("\n")
    return "\n".join(lines[: row - 1] + lines[row:]).encode()


AGAIN = "The file is not complete; please fetch it again."
NO_FILE = "This is no statement: its first line should name the columns record and statement, but begins with “{}”."
CASES = [
    Case("as it should be", statement().encode(), note="19 columns · characters: utf-8 · decimal point"),
    Case("header that disagrees", statement(total="200.00").encode(), total="200.00"),
    Case("decimal commas", comma(statement()).encode(), note="decimal comma"),
    Case("tabs", statement(separator="\t").encode()),
    Case("commas between the columns", statement(separator=",").encode()),
    Case("cp1252", statement(text="Größe €").encode("cp1252"), note="characters: cp1252"),
    Case("UTF-8 with a mark", b"\xef\xbb\xbf" + statement().encode(), note="characters: utf-8"),
    Case("UTF-16", statement().encode("utf-16"), note="characters: utf-16"),
    Case("Windows line ends", statement().replace("\n", "\r\n").encode()),
    Case("a quoted text with the separator in it", statement(text='"a; b"').encode()),
    Case("a text with other breaks than those of rows", statement(text="a\u2028b\x0bc\x85").encode()),
    Case("unknown columns", statement(extra=("tax-model",)).encode(), note="columns we do not know: tax-model"),
    Case("two equal lines", statement((*ROWS, ROWS[1])).encode(), lines=10, total="202.42"),
    Case("cut within a row", cut(statement(), rows=4, fields=9),
         refused=f"Row 4 is cut: it has 9 of 19 fields and ends in position_item. {AGAIN}"),
    Case("cut at the end of a row", cut(statement(), rows=5, fields=19),
         refused=f"Row 6: the footer row is missing. {AGAIN}"),
    Case("cut in a quoted text", (statement(text='"a; b"').split("; b")[0] + "; b").encode(),
         refused=f"Row 3 is cut: unexpected end of data. {AGAIN}"),
    Case("a row lost on the way", without(statement(), 4),
         refused=f"Row 6, field rows: it counts 4 lines, above it stand 3. {AGAIN}"),
    Case("an amount changed on the way", statement(footer="9.99").encode(),
         refused=f"Row 7, field gross: it says 9.99, the lines above it add up to {TOTAL}. {AGAIN}"),
    Case("no header row", without(statement(), 2),
         refused=f"Row 2: the header row with the total is missing. {AGAIN}"),
    Case("two statements in one", (statement() + statement()).encode(),
         refused="Row 8, field record: there is a row below the footer; a file holds one statement."),
    Case("a column is missing", statement().replace("booked_at", "booked").encode(),
         refused="Row 1: the column booked_at is missing."),
    Case("an amount with a point among commas", comma(statement()).replace("-15,00", "-15.0").encode(),
         refused="Row 4, field net: “-15.0” is no amount with a decimal comma, as this file writes them."),
    Case("gross that is not net and VAT", statement().replace(";-17.85;", ";-17.95;").encode(),
         refused="Row 4, field gross: -17.95 is not net and VAT together, -17.85."),
    Case("a day nobody can read", statement(period=("19/10/26", "2026-10-26")).encode(),
         refused="Row 2, field period_from: “19/10/26” is no date we can read without guessing."),
    Case("a statement without an end", statement(period=("2026-10-19", "")).encode(),
         refused="Row 2, field period_until: it is empty."),
    Case("an event that is none", statement().replace(";account;", ";gift;").encode(),
         refused="Row 6, field event: “gift” is none of sale, refund, account."),
    Case("a sale of no order", statement((("", "", "sale", "item_price", "1.00", "0.19"),)).encode(),
         refused="Row 3, field order: it is empty."),
    Case("empty", b"", refused=NO_FILE.format("nothing")),
    Case("Amazon's file", b"settlement-id\ttotal-amount\n", refused=NO_FILE.format("settlement-id\ttotal-amount")),
]  # fmt: skip


def read(body: bytes) -> tuple[SettlementRecord, list[SettlementLineRecord]]:
    """The statement with all of its lines."""
    record = parse_settlement(body, "f.csv")
    return record, list(record.lines or ())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_kind_of_file_is_read_whole_or_refused_in_words(case: Case) -> None:
    if case.refused:
        with pytest.raises(Malformed) as refused:
            read(case.body)
        assert refused.value.message == case.refused
        assert refused.value.path.startswith("row ")
        return
    record, lines = read(case.body)
    assert (record.settlement_ref, record.currency, record.total) == ("OM-7-2026-W43", "EUR", Decimal(case.total))
    assert len(lines) == case.lines
    assert case.note in " · ".join(record.notes)


def test_the_rows_of_these_files_are_what_they_say() -> None:
    assert gross_of(ROWS) == Decimal(TOTAL)


def test_a_booking_is_its_net_amount_and_the_vat_on_it() -> None:
    record, lines = read(statement().encode())
    assert [(line.raw_type, line.amount, line.ordinal) for line in lines[:4]] == [
        ("sale|item_price", Decimal("100.00"), 3),
        ("sale|item_price|vat", Decimal("19.00"), 3),
        ("sale|commission", Decimal("-15.00"), 4),
        ("sale|commission|vat", Decimal("-2.85"), 4),
    ]
    assert sum(line.amount for line in lines) == record.total
    assert {(line.order_ref, line.order_line_ref) for line in lines} == {("O-1", "P-1"), ("O-2", "P-2"), (None, None)}
    assert {line.posted_at for line in lines} == {datetime(2026, 10, 20, 9, tzinfo=UTC)}


def test_days_are_german_days() -> None:
    record, _ = read(statement().encode())
    assert record.period_start == datetime(2026, 10, 18, 22, tzinfo=UTC)
    assert record.period_end == datetime(2026, 10, 25, 23, tzinfo=UTC), "the clocks were put back that Sunday"
    assert record.paid_on == date(2026, 10, 28)


def test_a_refund_names_the_return_the_order_tells_of() -> None:
    _, lines = read(statement((("O-1", "P-1", "refund", "item_price", "-100.00", "-19.00"),)).encode())
    assert {line.refund_ref for line in lines} == {"P-1-return"}


def test_a_booking_without_vat_is_one_line_and_one_of_nothing_is_kept() -> None:
    rows = (("O-1", "P-1", "sale", "service_fee", "-1.00", "0.00"), ("O-1", "P-1", "sale", "discount", "0.00", "0.00"))
    _, lines = read(statement(rows).encode())
    assert [(line.raw_type, line.amount) for line in lines] == [("sale|service_fee", -1), ("sale|discount", 0)]


def test_the_sandbox_writes_the_columns_we_read() -> None:
    assert otto_statement.COLUMNS == COLUMNS
