"""What happens to each kind of settlement file: loaded, loaded as inconsistent, or refused with the exact words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from finance.models import Settlement, SettlementLine
from finance.selectors.settlements import is_balanced
from finance.services.reference import sync_reference
from finance.services.settlement_files import FileRefused, import_file
from finance.services.settlements import ingest
from finance.testing import NOW, account
from finance.tests.settlement_text import ROWS, TOTAL, comma, v1, v2
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.models import Account, RawDocument

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def amazon(client_dv: Any) -> Any:
    """An Amazon account with its shipped rules."""
    from domventas.core.tenancy import acting_for

    with acting_for(client_dv, actor="test"):
        sync_reference("amazon")
        yield account()


@dataclass(frozen=True)
class Case:
    """A file, and what becomes of it: lines and difference when it is loaded, the message when it is refused."""

    name: str
    body: bytes
    lines: int = 4
    difference: str = "0"
    refused: str = ""
    note: str = ""


def cut(text: str, *, rows: int, fields: int) -> str:
    """The file up to some fields of a row."""
    lines = text.split("\n")
    return "\n".join(lines[: rows - 1]) + "\n" + "\t".join(lines[rows - 1].split("\t")[:fields])


def without_row(text: str, row: int) -> str:
    """The file without one of its rows."""
    lines = text.split("\n")
    return "\n".join(lines[: row - 1] + lines[row:])


CUT_WORDS = (
    "f.txt: Row 4 is cut: it has 9 of 24 fields and ends in merchant-order-id. "
    "The file is not complete; please fetch it again."
)
CASES = [
    Case("as it should be", v2().encode(), note="second version, 24 columns"),
    Case("header that disagrees", v2(total="10.00").encode(), difference="3.45"),
    Case("cut at the end of a row", without_row(v2(), 6).encode(), lines=3, difference="-46.41"),
    Case("cut within a row", cut(v2(), rows=4, fields=9).encode(), refused=CUT_WORDS),
    Case(
        "cut in the header row",
        v2()[:60].encode(),
        refused="f.txt: This is no settlement file: its first line should name the columns settlement-id and"
        " total-amount, but begins with “settlement-id\tsettlement-start-date\tsett”.",
    ),
    Case(
        "no summary row",
        without_row(v2(), 2).encode(),
        refused="f.txt: Row 2: the summary row with total-amount is missing; the file is not complete.",
    ),
    Case("empty", b"",
         refused="f.txt: This is no settlement file: its first line should name the columns settlement-id and"
         " total-amount, but begins with “nothing”."),
    Case(
        "two summary rows",
        (v2() + v2().split("\n")[1] + "\n").encode(),
        refused="f.txt: Row 7, field total-amount: this is a second summary row; a settlement has one.",
    ),
    Case("two settlements in one", v2().replace("19284\t\t\t\t\t\tother", "19285\t\t\t\t\t\tother").encode(),
         refused="f.txt: Row 6, field settlement-id: 19285 is another settlement than 19284."),
    Case("cp1252", v2(promotion="Frühjahr €").encode("cp1252"), note="characters: cp1252"),
    Case("UTF-8 with a mark", b"\xef\xbb\xbf" + v2().encode(), note="characters: utf-8"),
    Case("UTF-16", v2().encode("utf-16"), note="characters: utf-16"),
    Case("UTF-16 cut in a character", v2().encode("utf-16")[:-1],
         refused=f"f.txt: The file begins as UTF-16, but is cut or damaged at byte {len(v2().encode('utf-16')) - 2}."),
    Case("decimal commas", comma(v2()).encode(), note="decimal comma"),
    Case(
        "one amount with a point among commas",
        comma(v2()).replace("20,00", "20.0").encode(),
        refused="f.txt: Row 5, field amount: “20.0” is no amount with a decimal comma, as this file writes them.",
    ),
    Case("an amount that is none", v2().replace("20.00", "n/a").encode(),
         refused="f.txt: Row 5, field amount: “n/a” is no amount with a decimal point, as this file writes them."),
    Case("unknown columns", v2(extra=("tax-model", "note")).encode(), note="columns we do not know: tax-model, note"),
    Case("first version with promotions", v1(promotions=True).encode(), note="first version, 36 columns"),
    Case("first version without promotions", v1(promotions=False).encode(), note="first version, 33 columns"),
    Case("identical lines", v2((*ROWS, ROWS[2], ROWS[2]), "46.55").encode(), lines=6),
    Case("a quotation mark that never closes", v2(promotion='6" pan').encode()),
    Case("Windows line ends", v2().replace("\n", "\r\n").encode()),
    Case("a day without a zone", v2().replace("2026-10-20 09:00:00 UTC", "10/20/26 9 AM").encode(),
         refused="f.txt: Row 3, field posted-date-time: “10/20/26 9 AM” is no date we can read without guessing."),
    Case("nonsense", b"\x89PNG\r\n\x1a\n\x00\x00",
         refused="f.txt: This is no settlement file: its first line should name the columns settlement-id and"
         " total-amount, but begins with “‰PNG”."),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_kind_of_file_is_booked_whole_or_refused_in_words(amazon: Account, case: Case) -> None:
    if case.refused:
        with pytest.raises(FileRefused) as refused:
            import_file(amazon, case.body, name="f.txt", now=NOW)
        assert refused.value.message == case.refused
        assert not Settlement.objects.exists()
        assert not SettlementLine.objects.exists()
        assert RawDocument.objects.filter(pk=refused.value.raw_id).count() == 1
        return
    booked = import_file(amazon, case.body, name="f.txt", now=NOW)
    stored = Settlement.objects.get()
    assert (booked.line_count, booked.difference) == (case.lines, Decimal(case.difference))
    assert stored.status == ("inconsistent" if booked.difference else "loaded")
    assert SettlementLine.objects.filter(kind="unexplained").count() == bool(booked.difference)
    assert is_balanced(stored)
    assert not booked.unknown_kinds
    assert case.note in " · ".join(stored.notes)
    assert RawDocument.objects.filter(pk=stored.raw_id).count() == 1


def dialect(name: str) -> bytes:
    """The body of a case."""
    return next(case.body for case in CASES if case.name == name)


@pytest.mark.parametrize("again", ["as it should be", "UTF-16", "UTF-8 with a mark", "Windows line ends"])
def test_the_same_settlement_in_another_dress_changes_nothing(amazon: Account, again: str) -> None:
    import_file(amazon, v2().encode(), name="f.txt", now=NOW)
    second = import_file(amazon, dialect(again), name="copy.txt", now=NOW)
    assert not second.changed
    assert SettlementLine.objects.count() == 4


def test_a_settlement_by_api_and_then_by_file_is_one(amazon: Account) -> None:
    ingest(amazon, parse_settlement(v2().encode(), "report"), raw_id=1, source="api", now=NOW)
    assert not import_file(amazon, v2().encode(), name="f.txt", now=NOW).changed
    assert Settlement.objects.get().source == "api"


def test_a_settlement_issued_again_with_a_correction_is_a_revision(amazon: Account) -> None:
    import_file(amazon, v2().encode(), name="f.txt", now=NOW)
    fixed = v2(tuple(("302-1", "L1", kind, words, "-7.89") if words == "Commission" else row
                     for row in ROWS for kind, words in [row[2:4]]), "7.55")  # fmt: skip
    again = import_file(amazon, fixed.encode(), name="f.txt", now=NOW)
    assert (again.changed, again.revision, again.reversed) == (True, 2, 1)
    assert is_balanced(Settlement.objects.get())
    assert Settlement.objects.get().header_total == Decimal("7.55")


def test_the_first_file_brought_again_takes_a_wrong_correction_back(amazon: Account) -> None:
    right, wrong = v2().encode(), v2(ROWS[:-1], "61.85").encode()
    for body, total in ((right, "6.55"), (wrong, "61.85"), (right, "6.55"), (wrong, "61.85"), (right, "6.55")):
        assert import_file(amazon, body, name="f.txt", now=NOW + timedelta(hours=RawDocument.objects.count())).changed
        assert Settlement.objects.get().header_total == Decimal(total)
        assert is_balanced(Settlement.objects.get())
    newest = RawDocument.objects.order_by("pk").last()
    assert newest is not None
    assert Settlement.objects.get().raw_id == newest.pk  # so that reading the archive again ends here, too


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(amazon: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`import_settlement` on a file with these bytes; gives the last line of stdout."""

    def command(body: bytes) -> dict[str, Any]:
        file = tmp_path / "f.txt"
        file.write_bytes(body)
        call_command("import_settlement", str(file), account="amazon-eu", json=True)
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    return command


def test_the_command_tells_what_it_booked(run: Run) -> None:
    told = run(v2().encode())
    assert {name: told[name] for name in ("settlement", "currency", "lines", "header_total", "lines_total")} == {
        "settlement": "19284", "currency": "EUR", "lines": 4, "header_total": "6.55", "lines_total": "6.55",
    }  # fmt: skip
    assert told["balanced"] is True
    assert told["by_kind"] == {
        "item_price": "61.85", "referral_fee": "-8.89", "subscription_fee": "-46.41",
    }  # fmt: skip
    assert told["unknown_kinds"] == {}


def test_the_command_ends_with_one_and_the_reason_when_it_refuses(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(cut(v2(), rows=4, fields=9).encode())
    assert ended.value.code == 1
    assert "Row 4 is cut" in capsys.readouterr().err
    assert RawDocument.objects.count() == 1


def test_the_command_names_the_accounts_there_are(amazon: Account, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(v2().encode())
    with pytest.raises(CommandError, match=r"There is no account 'nobody'\. Accounts: amazon-eu\."):
        call_command("import_settlement", str(tmp_path / "f.txt"), account="nobody")


def test_the_rows_of_this_table_are_what_they_say() -> None:
    assert sum(Decimal(row[4]) for row in ROWS) == Decimal(TOTAL)
    assert len(v1(promotions=True).split("\n")[0].split("\t")) == 36
    assert len(v1(promotions=False).split("\n")[0].split("\t")) == 33
