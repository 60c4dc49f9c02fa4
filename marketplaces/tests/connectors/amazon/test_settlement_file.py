"""Settlement files as they come: what is loaded, and in which words the rest is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.errors import Malformed
from marketplaces.records import SettlementLineRecord, SettlementRecord

V2 = [
    "settlement-id",
    "settlement-start-date",
    "settlement-end-date",
    "deposit-date",
    "total-amount",
    "currency",
    "transaction-type",
    "order-id",
    "merchant-order-id",
    "adjustment-id",
    "shipment-id",
    "marketplace-name",
    "amount-type",
    "amount-description",
    "amount",
    "fulfillment-id",
    "posted-date",
    "posted-date-time",
    "order-item-code",
    "merchant-order-item-id",
    "merchant-adjustment-item-id",
    "sku",
    "quantity-purchased",
    "promotion-id",
]
V1 = [
    "settlement-id",
    "settlement-start-date",
    "settlement-end-date",
    "deposit-date",
    "total-amount",
    "currency",
    "transaction-type",
    "order-id",
    "merchant-order-id",
    "adjustment-id",
    "shipment-id",
    "marketplace-name",
    "shipment-fee-type",
    "shipment-fee-amount",
    "order-fee-type",
    "order-fee-amount",
    "fulfillment-id",
    "posted-date",
    "order-item-code",
    "merchant-order-item-id",
    "merchant-adjustment-item-id",
    "sku",
    "quantity-purchased",
    "price-type",
    "price-amount",
    "item-related-fee-type",
    "item-related-fee-amount",
    "misc-fee-amount",
    "other-fee-amount",
    "other-fee-reason-description",
    "promotion-id",
    "promotion-type",
    "promotion-amount",
    "direct-payment-type",
    "direct-payment-amount",
    "other-amount",
]
V1_SHORT = [name for name in V1 if not name.startswith("promotion-")]

SUMMARY = {
    "settlement-id": "900",
    "settlement-start-date": "01.10.2026 00:00:00 UTC",
    "settlement-end-date": "08.10.2026 00:00:00 UTC",
    "deposit-date": "10.10.2026 00:00:00 UTC",
    "total-amount": "84,03",
    "currency": "EUR",
}
SALE = {
    "settlement-id": "900",
    "transaction-type": "Order",
    "order-id": "303-1",
    "marketplace-name": "Amazon.de",
    "amount-type": "ItemPrice",
    "amount-description": "Principal",
    "amount": "100,00",
    "posted-date": "03.10.2026",
    "posted-date-time": "03.10.2026 07:49:55 UTC",
    "order-item-code": "77",
    "sku": "ALB-1",
    "quantity-purchased": "2",
}
FEE = {**SALE, "amount-type": "ItemFees", "amount-description": "Commission", "amount": "-15,97"}


@dataclass(frozen=True)
class File:
    """A settlement file to be spoiled in one way."""

    names: list[str] = field(default_factory=lambda: V2)
    rows: tuple[dict[str, str], ...] = (SUMMARY, SALE, FEE)
    end: str = "\r\n"

    def text(self) -> str:
        lines = ["\t".join(self.names)] + ["\t".join(row.get(x, "") for x in self.names) for row in self.rows]
        return self.end.join(lines) + self.end


def read(body: bytes | File, content_type: str = "") -> tuple[SettlementRecord, list[SettlementLineRecord]]:
    found = parse_settlement(body.text().encode() if isinstance(body, File) else body, content_type=content_type)
    assert found.lines is not None
    return found, list(found.lines)


def pointed(row: dict[str, str]) -> dict[str, str]:
    return {k: v.replace(",", ".") if "amount" in k else v for k, v in row.items()}


UMLAUT = File(rows=(SUMMARY, {**SALE, "promotion-id": "Frühjahr „–“ ß"}, FEE))

LOADED: dict[str, bytes] = {
    "second version with 24 columns": File().text().encode(),
    "line feed only": File(end="\n").text().encode(),
    "no line break at the end": File().text().rstrip().encode() + b"\t" * 1,
    "byte order mark": b"\xef\xbb\xbf" + File().text().encode(),
    "UTF-16 with mark": File().text().encode("utf-16"),
    "UTF-16 big endian with mark": b"\xfe\xff" + File().text().encode("utf-16-be"),
    "UTF-16 without mark": File().text().encode("utf-16-le"),
    "Windows-1252": UMLAUT.text().encode("cp1252"),
    "UTF-8 with umlauts": UMLAUT.text().encode(),
    "decimal points": File(rows=(pointed(SUMMARY), pointed(SALE), pointed(FEE))).text().encode(),
    "thousands marked": File(rows=({**SUMMARY, "total-amount": "84,03"}, SALE, FEE)).text().encode(),
    "a column nobody knows": File(names=[*V2, "brand-new-column"]).text().encode(),
    "columns in another order": File(names=V2[::-1]).text().encode(),
    "upper-case column names": File(names=V2).text().encode().replace(b"settlement-id\t", b"Settlement-ID\t", 1),
    "empty lines between": File().text().replace("\r\n", "\r\n\r\n").encode(),
    "a lone quotation mark": File(rows=(SUMMARY, {**SALE, "promotion-id": 'Rohr 3/4"'}, FEE)).text().encode(),
    "currency on every row": File(rows=(SUMMARY, {**SALE, "currency": "EUR"}, {**FEE, "currency": "eur"}))
    .text()
    .encode(),
    "ISO times": File(rows=(SUMMARY, {**SALE, "posted-date-time": "2026-10-03T09:49:55+02:00"}, FEE)).text().encode(),
    "American times": File(rows=(SUMMARY, {**SALE, "posted-date-time": "2026-10-03 07:49:55 UTC"}, FEE))
    .text()
    .encode(),
}


@pytest.mark.parametrize("case", LOADED)
def test_this_file_is_loaded(case: str) -> None:
    body = LOADED[case]
    if case == "no line break at the end":
        body = File().text().removesuffix("\r\n").encode()
    found, lines = read(body)
    assert (found.settlement_ref, found.currency, found.total) == ("900", "EUR", Decimal("84.03"))
    assert (found.period_start, found.paid_on) == (datetime(2026, 10, 1, tzinfo=UTC), date(2026, 10, 10))
    assert [line.raw_type for line in lines] == ["order|itemprice|principal", "order|itemfees|commission"]
    assert sum(line.amount for line in lines) == found.total
    first = lines[0]
    assert first.posted_at == datetime(2026, 10, 3, 7, 49, 55, tzinfo=UTC)
    assert (first.site, first.order_ref, first.order_line_ref, first.seller_sku) == (
        "amazon.de",
        "303-1",
        "77",
        "ALB-1",
    )
    assert first.quantity == 2
    assert "\ufffd" not in f"{lines}"


def test_the_notes_say_how_the_file_was_read() -> None:
    found, _ = read(replace(UMLAUT, names=[*V2, "brand-new-column"]).text().encode("cp1252"))
    told = "; ".join(found.notes)
    assert "24" not in told
    assert "25 columns" in told
    assert "cp1252" in told
    assert "decimal comma" in told
    assert "columns we do not know: brand-new-column" in told


@pytest.mark.parametrize("charset", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    "stated", ["", "text/plain; charset=Cp1252", "text/plain;charset=UTF-8", "text/plain;charset=odd"]
)
def test_umlauts_survive_whatever_the_label_says(charset: str, stated: str) -> None:
    _, lines = read(UMLAUT.text().encode(charset), stated)
    assert lines[0].description == "Principal Frühjahr „–“ ß"


def test_japanese_files_are_read_in_the_charset_they_state() -> None:
    body = File(rows=(SUMMARY, {**SALE, "promotion-id": "送料無料"}, FEE)).text().encode("cp932")
    _, lines = read(body, "text/plain; charset=CP932")
    assert lines[0].description.endswith("送料無料")


@pytest.mark.parametrize(
    ("total", "others", "expected"),
    [
        ("1141,18", "1,00", "1141.18"),
        ("1.141,18", "1,00", "1141.18"),
        ("1,141.18", "1.00", "1141.18"),
        ("1141.18", "1.00", "1141.18"),
        ("-1.141.234,5", "1,00", "-1141234.5"),
        ("1 141,18", "1,00", "1141.18"),
        ("1 141,18", "1,00", "1141.18"),
        ("−5,00", "1,00", "-5.00"),
        ("1.234", "1,50", "1234"),
        ("1,234", "1.50", "1234"),
        ("0", "0,50", "0"),
        ("12", "7", "12"),
    ],
)
def test_the_decimal_mark_is_decided_once_per_file(total: str, others: str, expected: str) -> None:
    found, _ = read(File(rows=({**SUMMARY, "total-amount": total}, {**SALE, "amount": others})))
    assert found.total == Decimal(expected)


REFUSED: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "This is no settlement file: .* but begins with “nothing”"),
    "a web page": (b"<html>Sign in</html>", "This is no settlement file"),
    "another report": (b"order-id\tsku\n1\t2\n", "This is no settlement file"),
    "a header only": (File(rows=()).text().encode(), "Row 2: the summary row with total-amount is missing"),
    "no summary row": (File(rows=(SALE, FEE)).text().encode(), "Row 2: the summary row with total-amount is missing"),
    "two summary rows": (
        File(rows=(SUMMARY, SALE, SUMMARY, FEE)).text().encode(),
        "Row 4, field total-amount: this is a second summary row",
    ),
    "two settlements in one file": (
        File(rows=(SUMMARY, SALE, {**FEE, "settlement-id": "901"})).text().encode(),
        "Row 4, field settlement-id: 901 is another settlement than 900",
    ),
    "another currency": (
        File(rows=(SUMMARY, {**SALE, "currency": "PLN"})).text().encode(),
        "Row 3, field currency: PLN in a settlement of EUR",
    ),
    "no currency": (File(rows=({**SUMMARY, "currency": ""},)).text().encode(), "Row 2, field currency: it is empty"),
    "a letter among digits": (
        File(rows=(SUMMARY, {**SALE, "amount": "1O,00"})).text().encode(),
        "Row 3, field amount: “1O,00” is no amount with a decimal comma",
    ),
    "points in a file of commas": (
        File(rows=(SUMMARY, {**SALE, "amount": "100.00"})).text().encode(),
        "Row 3, field amount: “100.00” is no amount with a decimal comma",
    ),
    "an empty amount": (
        File(rows=(SUMMARY, {**SALE, "amount": ""})).text().encode(),
        "Row 3, field amount: it is empty",
    ),
    "a number that is none": (
        File(rows=(SUMMARY, {**SALE, "amount": "NaN"})).text().encode(),
        "Row 3, field amount: “NaN” is no amount",
    ),
    "a date to be guessed": (
        File(rows=(SUMMARY, {**SALE, "posted-date-time": "03/10/26 07:49"})).text().encode(),
        "Row 3, field posted-date-time: “03/10/26 07:49” is no date we can read without guessing",
    ),
    "a time without a zone": (
        File(rows=(SUMMARY, {**SALE, "posted-date-time": "2026-10-03T07:49:55"})).text().encode(),
        "Row 3, field posted-date-time",
    ),
    "half a piece": (
        File(rows=(SUMMARY, {**SALE, "quantity-purchased": "1,5"})).text().encode(),
        "Row 3, field quantity-purchased: “1,5” is no number of pieces",
    ),
    "a cut last row": (
        File().text()[: -len("ALB-1\t2\t\r\n") - 4].encode(),
        "Row 4 is cut: it has 19 of 24 fields and ends in order-item-code. The file is not complete",
    ),
    "a tab too many": (File().text().replace("ALB-1", "ALB\t1", 1).encode(), "Row 3 has 25 fields"),
    "a column twice": (File(names=[*V2, "sku"]).text().encode(), "the column sku occurs twice"),
    "no amounts at all": (File(names=V2[:6]).text().encode(), "no column of amounts"),
    "UTF-16 cut in the middle": (File().text().encode("utf-16")[:-1], "begins as UTF-16, but is cut or damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_this_file_is_refused_in_words_a_finance_person_understands(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(Malformed, match=message):
        read(body)


def test_a_file_cut_anywhere_inside_a_row_is_refused_or_short_of_its_header() -> None:
    body = File().text()
    for cut in range(len(body) - 2):
        try:
            found, lines = read(body[:cut].encode())
        except Malformed:
            continue
        # All columns of the last row were there already: nothing of the money is missing.
        whole = body[:cut].rstrip("\r\n").count("\t") % (len(V2) - 1) == 0
        assert whole
        assert sum(x.amount for x in lines) in (0, Decimal("100.00"), found.total)


def test_equal_lines_are_all_kept_and_differ_by_their_place() -> None:
    _, lines = read(File(rows=(SUMMARY, SALE, SALE, FEE)))
    assert len(lines) == 3
    assert lines[0].raw_key == lines[1].raw_key
    assert [line.ordinal for line in lines] == [3, 4, 5]


def test_the_same_line_has_the_same_key_in_another_dialect() -> None:
    _, commas = read(File())
    _, points = read(File(rows=(pointed(SUMMARY), {**pointed(SALE), "posted-date-time": "2026-10-03 07:49:55 UTC"})))
    assert commas[0].raw_key == points[0].raw_key


def test_a_reserve_row_belongs_to_the_account() -> None:
    kept = {
        "settlement-id": "900",
        "transaction-type": "other-transaction",
        "amount-type": "other-transaction",
        "amount-description": "Current Reserve Amount",
        "amount": "-10,00",
    }
    _, lines = read(File(rows=(SUMMARY, kept)))
    assert lines[0].raw_type == "other-transaction|other-transaction|current reserve amount"
    assert (lines[0].order_ref, lines[0].site, lines[0].quantity, lines[0].posted_at) == (None, None, None, None)


V1_SUMMARY = {**SUMMARY, "total-amount": "7.22", "settlement-start-date": "2025-08-14T22:07:18+00:00"}
V1_SALE = {
    "settlement-id": "900",
    "transaction-type": "Order",
    "order-id": "701-1",
    "marketplace-name": "Amazon.com",
    "posted-date": "2025-08-15T01:02:03+00:00",
    "sku": "ALB-1",
}
V1_ROWS = (
    V1_SUMMARY,
    {**V1_SALE, "quantity-purchased": "1"},
    {**V1_SALE, "price-type": "Principal", "price-amount": "10.00"},
    {**V1_SALE, "item-related-fee-type": "Commission", "item-related-fee-amount": "-1.50"},
    {**V1_SALE, "shipment-fee-type": "FBA transportation fee", "shipment-fee-amount": "-0.28"},
    {"settlement-id": "900", "transaction-type": "Subscription Fee", "other-amount": "-1.00"},
)


@pytest.mark.parametrize(("names", "columns"), [(V1, 36), (V1_SHORT, 33)])
def test_files_of_the_first_version_are_read_by_column_name(names: list[str], columns: int) -> None:
    assert len(names) == columns
    found, lines = read(File(names=names, rows=V1_ROWS))
    assert [line.raw_type for line in lines] == [
        "order|itemprice|principal",
        "order|itemfees|commission",
        "order|shipment-fees|fba transportation fee",
        "other-transaction|other-transaction|subscription fee",
    ]
    assert sum(line.amount for line in lines) == found.total
    assert lines[0].posted_at == datetime(2025, 8, 15, 1, 2, 3, tzinfo=UTC)


def test_two_amounts_in_one_row_of_the_first_version_are_two_lines() -> None:
    both = {
        "settlement-id": "900",
        "transaction-type": "ServiceFee",
        "misc-fee-amount": "-10.00",
        "other-fee-amount": "-1.90",
        "other-fee-reason-description": "TaxAmount",
    }
    _, lines = read(File(names=V1, rows=(V1_SUMMARY, both)))
    assert [(line.raw_type, line.amount) for line in lines] == [
        ("servicefee|misc-fees|servicefee", Decimal("-10.00")),
        ("servicefee|other-fees|taxamount", Decimal("-1.90")),
    ]
    assert lines[0].raw_key != lines[1].raw_key


def test_a_promotion_of_the_first_version_keeps_its_type() -> None:
    promo = {**V1_SALE, "promotion-id": "Free", "promotion-type": "Shipping", "promotion-amount": "-2.00"}
    _, lines = read(File(names=V1, rows=(V1_SUMMARY, promo)))
    assert lines[0].raw_type == "order|promotion|shipping"


def test_a_large_file_streams_without_holding_its_lines() -> None:
    import tracemalloc

    body = (File(rows=(SUMMARY,)).text() + File(rows=(SALE,)).text().split("\r\n", 1)[1] * 10_000).encode()
    found = parse_settlement(body)
    assert found.lines is not None
    tracemalloc.start()
    assert sum(1 for _ in found.lines) == 10_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
