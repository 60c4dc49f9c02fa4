"""How many statements are missing is one number, wherever it stands."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.timezone import now as clock

from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.times import day_in
from finance.models import Settlement
from finance.selectors.are_we_paid import absent_settlements
from finance.selectors.statements import absent_statements
from marketplaces.models import Account, Stream
from tickets.detectors.technical_issue import technical_issue
from tickets.models import Finding, Ticket
from tickets.services import engine

pytestmark = pytest.mark.db
HOME = "/c/dom-ventas"


@pytest.fixture
def staff(client_dv: Client) -> Browser:
    """The client's administrator, signed in."""
    user = User.objects.create_user("admin@example.com", "a long password")
    Membership.objects.create(user=user, client=client_dv, role=Role.ADMIN)
    found = Browser()
    found.force_login(user)
    return found


def weekly(account: Account, *weeks: int, now: datetime, waiting: tuple[int, ...] = (), currency: str = "EUR") -> None:
    """Statements of the weeks that ended so many weeks ago."""
    for ago in weeks:
        end = now - timedelta(weeks=ago)
        Settlement.objects.create(
            account=account, settlement_ref=f"{account.code}-{currency}-{ago}", currency=currency, loaded_at=end,
            period_start=end - timedelta(weeks=1), period_end=end, header_total=0,
            status="waiting" if ago in waiting else "loaded",
        )  # fmt: skip


@pytest.fixture
def silent(acting: Client) -> datetime:
    """Accounts of which four statements are missing: two after the last, one between two, one without its lines."""
    now = clock()
    amazon, otto, fresh = (
        Account.objects.create(code=code, name=code, channel="amazon", external_id=code, status="active")
        for code in ("amazon-eu", "otto-de", "ebay-de")
    )
    weekly(amazon, 7, 6, 5, 4, 3, now=now)
    weekly(amazon, 7, 6, 5, 4, 3, now=now, currency="SEK")
    weekly(otto, 7, 6, 5, 3, 2, 1, 0, now=now, waiting=(2,))
    weekly(fresh, 4, 3, 2, 1, 0, now=now)
    Stream.objects.create(account=amazon, flow="settlements", complete_until=now)
    Stream.objects.create(account=amazon, flow="orders", complete_until=now)
    return now


def test_every_place_tells_the_same_number_of_missing_statements(silent: datetime, staff: Browser) -> None:
    today = day_in("Europe/Berlin", silent)
    missing = absent_statements(today=today)
    assert sorted((row.account_code, row.what) for row in missing) == [
        ("amazon-eu", "after"), ("amazon-eu", "after"), ("otto-de", "between"), ("otto-de", "without_lines"),
    ]  # fmt: skip
    assert len(absent_settlements(today=today)) == 4
    engine.run(technical_issue, now=silent)
    assert Finding.objects.filter(check_code="absent", state="open").count() == 4
    for path in ("/", "/money/paid/", "/system/monitor/"):
        assert "4 settlements due and not seen" in text(staff, path), path
    assert "amazon-eu (2), otto-de (2)" in text(staff, "/system/monitor/")
    assert "Nothing: every flow" not in text(staff, "/system/monitor/")
    needs = text(staff, "/system/monitor/?state=needs")
    assert "amazon-eu Settlements: fresh" in needs and "2 statements missing" in needs
    assert "amazon-eu Orders: fresh" not in needs
    rows = staff.get(f"{HOME}/money/paid/?format=csv&table=gaps").content.decode()
    assert rows.count("settlement absent") == 4


def test_a_statement_that_comes_by_file_has_its_mark_its_row_and_its_steps(acting: Client, staff: Browser) -> None:
    now = clock()
    otto, amazon = (
        Account.objects.create(code=code, name=code, channel=code, external_id=code, status="active")
        for code in ("otto", "amazon")
    )
    Stream.objects.create(account=otto, flow="orders", complete_until=now)
    Stream.objects.create(account=amazon, flow="settlements", complete_until=now)
    grid = text(staff, "/system/monitor/")
    assert "otto Settlements: □ by file brought by people" in grid and "has to bring the file" not in grid
    weekly(otto, 6, 5, 4, 3, now=now)
    weekly(amazon, 6, 5, 4, 3, now=now)
    book = f'href="{HOME}/money/files/?account='
    for path, rows in {"/system/monitor/": 2, "/system/monitor/?state=needs&flow=settlements&account=otto": 1}.items():
        page = text(staff, path)
        assert "otto Settlements: ▲ by file 1 statement missing, due " in page, path
        assert "Nothing reads it: somebody has to bring the file. Fetch the statement from the seller portal" in page
        assert staff.get(f"{HOME}{path}").content.decode().count(book) == rows, "beside Read now, too"
    file = staff.get(f"{HOME}/system/monitor/?format=csv").content.decode()
    assert "otto,otto,settlements,by file" in file
    weekly(otto, 2, 1, 0, now=now)
    page = text(staff, "/system/monitor/?account=otto")
    assert "□ by file up to " in page and "has to bring the file" not in page


def test_the_ticket_says_which_statement_is_missing_and_why(silent: datetime) -> None:
    engine.run(technical_issue, now=silent)
    assert set(Ticket.objects.values_list("account__code", "finding_count")) == {("amazon-eu", 2), ("otto-de", 2)}
    causes = list(Finding.objects.filter(check_code="absent").order_by("fingerprint").values_list("cause", flat=True))
    assert sum("one comes every 7 days" in cause for cause in causes) == 2
    assert sum("although those before and after are here" in cause for cause in causes) == 1
    assert sum(cause.startswith("Statement otto-de-EUR-2 was announced") for cause in causes) == 1


def text(staff: Browser, path: str) -> Any:
    """The page's words."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", staff.get(f"{HOME}{path}").content.decode()))


def test_the_ticket_leads_to_the_row_of_the_runbook_that_tells_of_it(silent: datetime, staff: Browser) -> None:
    engine.run(technical_issue, now=silent)
    ticket = staff.get(f"{HOME}/tickets/{Ticket.objects.earliest('number').number}/").content.decode()
    assert 'href="/c/dom-ventas/system/runbooks/technical_issue/#statement-missing"' in ticket
    book = staff.get(f"{HOME}/system/runbooks/technical_issue/").content.decode()
    assert '<tr id="statement-missing">' in book
    assert 'href="/c/dom-ventas/system/runbooks/shipments/"' in staff.get(f"{HOME}/system/runbooks/").content.decode()
    assert staff.get(f"{HOME}/system/runbooks/nothing/").status_code == 404
