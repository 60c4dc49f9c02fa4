"""One browser per test process, and a small house to look at: an account, orders, a ticket, a raw document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as TestClient
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.ops.management.commands.screens import ARGS, CHROMIUM
from domventas.tests.filler import make
from finance.services.settlement_files import FileRefused, bring, import_file
from finance.tests.desk import overcharged
from finance.tests.settlement_text import v2
from marketplaces.models import Account, Inlet, Quarantined, Stream, Subscription
from marketplaces.port import RawPage
from marketplaces.registry import connectors
from marketplaces.services import raw
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from orders.services.ingest import ingest
from orders.tests.conftest import line, order
from tickets.models import Ticket

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SECRETS = {"client_id": "c" * 12, "client_secret": "s" * 12, "refresh_token": "t" * 12}


@dataclass
class Watched:
    """A page of the browser with everything it complained about."""

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._say(message.type == "error", f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self._say(True, f"script: {error}"))
        self.page.on("request", lambda request: self._say(self._is_away(request.url), f"off-host: {request.url}"))
        self.page.on("response", lambda said: self._say(said.status >= 400, f"{said.status}: {said.url}"))

    def _say(self, is_wrong: bool, words: str) -> None:
        if is_wrong:
            self.complaints.append(words)

    def _is_away(self, url: str) -> bool:
        return not url.startswith((self.base, "data:", "blob:"))

    def open(self, path: str) -> None:
        """Go there and wait until nothing loads any more."""
        self.page.goto(f"{self.base}{path}", wait_until="networkidle")

    def barriers(self) -> list[str]:
        """What keeps people out, as axe sees it: serious and critical findings with their first place."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]

    def sways(self) -> bool:
        """Whether the whole page scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; tests are skipped, with the reason, where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: pages are not looked at")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop running in this thread, though nothing here is asynchronous.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class House:
    """The house to look at, and the addresses of its things."""

    client: Client
    paths: dict[str, str]


@pytest.fixture
def house(transactional_db: None) -> House:
    """One client with something on every page."""
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    user = User.objects.create_user("admin@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=Role.ADMIN)
    sync_sites()
    with tenancy.acting_for(client, actor="test"):
        return House(client, _furnish())


def _furnish() -> dict[str, str]:
    now = clock()
    account = create_account(
        channel="amazon", code="amazon-eu", name="Amazon EU", external_id="A2TEST", sites=["amazon.de"],
        secrets=SECRETS, now=now,
    )  # fmt: skip
    page = RawPage(body=json.dumps({"orders": [{"orderId": "O1"}]}).encode(), content_type="application/json")
    raw_id = raw.archive(account, "orders", connectors["amazon"].flows["orders"], page, now=now)
    sheet = RawPage(body=b"settlement-id\tamount\n1\t2.00\n1\t3.00\n", content_type="text/plain")
    sheet_id = raw.archive(account, "settlements", connectors["amazon"].flows["settlements"], sheet, now=now)
    ingest(account, [order(1, lines=(line(1), line(2))), order(2)], now=now, raw_id=raw_id)
    _trouble(account)
    head = overcharged(account, 3)
    _files(account, now)
    ticket = make(Ticket, account=account, title="Two offers without a SKU")
    stream = Stream.objects.get(account=account, flow="orders")
    known = account.orders.get(external_id="O1")
    return {
        "today": "/",
        "monitor": "/system/monitor/",
        "runbook": "/system/runbooks/technical_issue/",
        "stream": f"/system/monitor/?stream={stream.pk}",
        "pushes": "/system/pushes/",
        "push_change": "/system/pushes/change/?step=live&account=amazon-eu&verb=shipments",
        "ship": f"/orders/{known.pk}/ship/",
        "raw": f"/system/raw/{raw_id}/",
        "sheet": f"/system/raw/{sheet_id}/?row=3",
        "orders": "/admin/orders/order/",
        "order": f"/orders/{known.pk}/",
        "stuck": "/orders/stuck/",
        "stuck_held": "/orders/stuck/?reason=held",
        "tickets": "/tickets/",
        "ticket": f"/tickets/{ticket.number}/",
        "are_we_paid": "/money/paid/",
        "are_we_paid_one": "/money/paid/?account=amazon-eu",
        "entries": "/money/entries/",
        "owed": "/money/owed/",
        "findings": "/money/findings/",
        "settlements": "/money/settlements/",
        "workbench": f"/money/settlements/{head.pk}/?state=discrepancy",
        "files": "/money/files/",
    }


def _files(account: Account, now: datetime) -> None:
    """One file booked, one refused, one that waits."""
    import_file(account, v2(total="10.00").encode(), name="october.txt", now=now)
    with suppress(FileRefused):
        import_file(account, b"no settlement", name="a letter.txt", now=now)
    bring(account, v2().replace("19284", "19285").encode(), name="november.txt", now=now)


def _trouble(account: Account) -> None:
    now = clock()
    make(Quarantined, account=account, flow="orders", reason="The quantity is no number.")
    Stream.objects.filter(account=account, flow="orders").update(
        complete_until=now - timedelta(hours=5), failures=3, last_error="Too many requests.", last_error_at=now
    )
    Stream.objects.filter(account=account, flow="offers").update(complete_until=now, last_success_at=now)
    Stream.objects.filter(account=account, flow="transactions").update(is_paused=True)
    make(Inlet, account=account, kind="sqs", closed_at=None)
    make(
        Subscription, account=account, topic="ORDER_CHANGE", state="subscribed", since=now - timedelta(days=2), note=""
    )
    why = "The application lacks a role that REPORT_PROCESSING_FINISHED needs: add it in Develop Apps."
    make(Subscription, account=account, topic="REPORT_PROCESSING_FINISHED", state="refused", since=None, note=why)


@pytest.fixture
def eyes(chromium: Any, house: House, live_server: Any) -> Iterator[Watched]:
    """A signed-in person's browser window."""
    signed_in = TestClient()
    signed_in.force_login(User.objects.get(email="admin@example.com"))
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, color_scheme="light")
    context.add_cookies(
        [{"name": "sessionid", "value": signed_in.cookies["sessionid"].value, "url": live_server.url}]
    )  # fmt: skip
    yield Watched(context.new_page(), live_server.url)
    context.close()
