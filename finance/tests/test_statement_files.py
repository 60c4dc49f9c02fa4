"""Statement files brought on a page: kept, booked by a job, told by row; the wrong account and bad files are named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client as Browser

from domventas.core.jobs import runner
from domventas.core.models import Client, TaskRun
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from finance.models import Settlement, SettlementLine, StatementFile
from finance.pages import statement_files as page
from finance.services import settlement_files
from finance.services.reference import sync_reference
from finance.services.settlement_files import FileRefused, book_waiting, bring, import_file
from finance.testing import NOW, account
from finance.tests.desk import HOME, browser, queries, rows_of, text
from finance.tests.settlement_text import ROWS, v2
from marketplaces.models import Account, RawDocument

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = f"{HOME}/files/"


@pytest.fixture
def amazon(client_dv: Client) -> Any:
    """An Amazon account in Germany and France with its shipped rules."""
    with acting_for(client_dv, actor="test"):
        sync_reference("amazon")
        yield account()


def send(person: Browser, *files: tuple[str, bytes], to: str = "amazon-eu") -> Any:
    """Drop files as the page's form does."""
    uploads = [SimpleUploadedFile(name, body) for name, body in files]
    return person.post(f"{PAGE}bring/", {"_client": "dom-ventas", "account": to, "uploads": uploads})


def work(task: str = settlement_files.BOOKING) -> list[str]:
    """Do the runs of a task that wait."""
    waiting = TaskRun.objects.filter(task=task, state="queued").order_by("pk")
    return [runner.execute(run.task, run.client_id or 0, run.pk) for run in waiting]


def test_files_are_kept_booked_by_the_job_and_told_row_by_row(amazon: Account, staff: Browser) -> None:
    answer = send(staff, ("good.txt", v2().encode()), ("odd.txt", b"name;amount\n"), ("copy.txt", v2().encode()))
    assert answer.status_code == 302 and answer["Location"].endswith("/money/files/?account=amazon-eu")
    waiting = text(staff.get(answer["Location"]))
    assert "3 files are kept and will be read." in waiting
    assert 'hx-trigger="every 3s"' in waiting and "waiting to be read" in waiting
    assert not Settlement.objects.exists(), "nothing is booked while a person waits for the answer"
    assert work() == ["done"]
    done = text(staff.get(PAGE))
    assert 'hx-trigger="every 3s"' not in done
    assert "its first line should name the columns settlement-id" in done
    states = {row.name: row.state for row in StatementFile.objects.all()}
    assert states == {"good.txt": "booked", "odd.txt": "refused", "copy.txt": "known"}
    assert {row.brought_by for row in StatementFile.objects.all()} == {"finance@example.com"}
    settlement = Settlement.objects.get()
    assert f'href="/c/dom-ventas/money/settlements/{settlement.pk}/"' in done
    assert TaskRun.objects.filter(task="recon.match", state="queued").count() == 1, "held against orders at once"
    for _time in range(2):  # twice before anybody looks: one row
        send(staff, ("again.txt", v2().encode()))
    work()
    assert StatementFile.objects.count() == 4
    newest = StatementFile.objects.first()
    assert newest and (newest.name, newest.state, newest.settlement_id) == ("again.txt", "known", settlement.pk)
    assert SettlementLine.objects.count() == len(ROWS)


def test_what_cannot_be_taken_is_refused_before_anything_is_kept(
    amazon: Account, staff: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_BYTES", 1024 * 1024)
    for files, words in (
        ([], "Choose at least one file."),
        ([("good.txt", v2().encode()), ("empty.txt", b"")], "empty.txt is empty."),
        ([("good.txt", v2().encode()), ("big.txt", b"x" * (1024 * 1024 + 1))], "big.txt is larger than 1 MB"),
        ([(f"{number}.txt", b"x") for number in range(21)], "At most 20 files at a time."),
    ):
        answer = send(staff, *files)
        assert answer.status_code == 400 and words in answer.content.decode(), words
    assert send(staff, ("good.txt", v2().encode()), to="nobody").status_code == 400
    assert not StatementFile.objects.exists() and not RawDocument.objects.exists()


def test_a_statement_of_another_account_is_refused(amazon: Account) -> None:
    second = account("amazon-two", sites=["amazon.de"])
    america = account("amazon-us", sites=["amazon.com"])
    import_file(amazon, v2().encode(), name="f.txt", now=NOW)
    with pytest.raises(FileRefused, match="19284 stands under account amazon-eu already"):
        import_file(second, v2().encode(), name="f.txt", now=NOW)
    other = v2().replace("19284", "19999").encode()
    with pytest.raises(FileRefused, match=r"It tells of Amazon.de only, where account amazon-us does not sell"):
        import_file(america, other, name="f.txt", now=NOW)
    assert [row.account for row in Settlement.objects.all()] == [amazon]
    assert SettlementLine.objects.count() == len(ROWS)
    assert import_file(second, other, name="f.txt", now=NOW).changed, "the right account takes it"


def test_a_file_that_ends_the_program_is_given_up_and_holds_up_no_other(
    amazon: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(amazon, v2().replace("19284", "10001").encode(), name="deadly.txt", now=NOW)
    bring(amazon, v2().encode(), name="good.txt", now=NOW)

    def dies(of: Account, record: Any, **how: Any) -> Any:
        if record.settlement_ref == "10001":
            raise MemoryError
        return kept(of, record, **how)

    kept = settlement_files.ingest
    monkeypatch.setattr(settlement_files, "ingest", dies)
    ended = []
    for _time in range(settlement_files.MOST_TRIES):
        with pytest.raises(MemoryError):
            ended.append(book_waiting(now=NOW))
        states = dict(StatementFile.objects.values_list("name", "state"))
        assert states["deadly.txt"] == "waiting"
    assert states["good.txt"] == "booked", "from the second time on it comes first"
    assert book_waiting(now=NOW) == 1
    row = StatementFile.objects.get(name="deadly.txt")
    assert row.state == "refused" and "it was given up" in row.reason
    assert RawDocument.objects.filter(pk=row.raw_id).exists(), "its bytes are kept"


def test_the_command_and_the_page_keep_one_list(amazon: Account, staff: Browser, tmp_path: Path) -> None:
    file = tmp_path / "by-hand.txt"
    file.write_bytes(v2().encode())
    call_command("import_settlement", str(file), account="amazon-eu", client="dom-ventas")
    head, *rows = rows_of(staff.get(f"{PAGE}?format=csv"))
    told = dict(zip(head, rows[0], strict=True))
    assert (told["file"], told["state"], told["lines"], told["header"], told["difference"]) == (
        "by-hand.txt", "booked", "4", "6.5500", "0.0000",
    )  # fmt: skip
    assert told["brought by"] == "import_settlement"


def test_only_who_may_import_brings_files_and_others_are_told_whom_to_ask(
    amazon: Account, client_dv: Client, staff: Browser
) -> None:
    manager = browser(client_dv, Role.MANAGER)
    assert send(manager, ("good.txt", v2().encode())).status_code == 403
    shown = text(manager.get(PAGE))
    assert (
        "Bringing statement files is for people with one of the roles finance" in shown
        and '<input type="file"' not in shown
    )
    assert browser(client_dv, Role.WAREHOUSE).get(PAGE).status_code == 403


def test_an_empty_house_is_told_what_to_do(client_dv: Client, staff: Browser) -> None:
    assert "No connected marketplace has statements that come as files." in text(staff.get(PAGE))


def test_what_is_due_stands_beside_the_form_and_twenty_files_take_no_more_queries(
    amazon: Account, staff: Browser
) -> None:
    def some(count: int, since: int) -> None:
        for number in range(since, since + count):
            body = v2().replace("19284", str(20000 + number)).encode()
            import_file(amazon, body, name=f"{number}.txt", now=NOW + timedelta(minutes=number))

    some(2, 0)
    before = queries(staff, PAGE)
    some(18, 2)
    assert queries(staff, PAGE) == before
    assert "Due and not here" in text(staff.get(PAGE)), "a month after the last one"
