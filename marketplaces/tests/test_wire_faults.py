"""Each kind of fault against the whole engine, over HTTP: what is stored afterwards is what a calm reading stores."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domventas.core import tenancy
from domventas.core.dump import Dump, canonical_dump, compare
from domventas.core.models import Client
from marketplaces.models import Account, Quarantined
from marketplaces.sandbox.faults.kinds import KINDS
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import sync
from marketplaces.tests.test_pull_sandbox import ACCOUNTS

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CLIENTS = {"amazon-eu": 7001, "amazon-us": 7002, "bunnings-au": 7003}
#: Where a fault shows best; the others are tried on Bunnings' orders.
SHOWN = {
    "repeated_token": ("bunnings-au", "transactions"),
    "expired_token": ("amazon-us", "transactions"),
    "short_file": ("amazon-us", "settlements"),
    "cut_unseen": ("amazon-us", "settlements"),
    "link_expired": ("amazon-us", "settlements"),
    "report_queued": ("amazon-us", "offers"),
    "report_failed": ("amazon-us", "offers"),
    "report_canceled": ("amazon-us", "offers"),
}
ROWS = {
    "A1": ("throttled", "throttled_until"),
    "A2": ("out_of_order", "reset", "lost_answer"),
    "A3": ("silence", "drip"),
    "A4": ("cut", "broken_chunk", "cut_unseen", "short_file"),
    "A5": ("html", "malformed", "not_a_number", "doubled_key"),
    "A6": ("utf_16", "windows_charset", "byte_order_mark"),
    "A7": ("doubled_record", "doubled_page", "reordered", "row_inserted", "row_removed", "repeated_token"),
    "A8": ("outdated",),
    "A9": ("new_field", "missing_required", "retyped"),
    "A10": ("expired_token",),
    "A11": ("clock_skew",),
    "A12": ("report_queued", "report_failed", "report_canceled", "link_expired"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=6, orders=150, days=40, skus=30, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def account_of(sandbox: Sandbox, settings: Any, transactional_db: None) -> Any:
    """Makes the client with one account, as it was before the first reading."""
    settings.SANDBOX_URL = sandbox.url
    sync_sites()

    def make(code: str, number: int) -> Account:
        client = Client.objects.create(pk=number, slug=f"house-{number}", name="House")
        ((_, channel, ref, sites, secrets),) = [row for row in ACCOUNTS if row[0] == code]
        with tenancy.acting_for(client, actor="test"):
            return create_account(
                channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW,
                cutover_on=(NOW - timedelta(days=45)).date(),
            )  # fmt: skip

    return make


def steer(sandbox: Sandbox, **plan: Any) -> dict[str, int]:
    """Another plan; how often each kind struck under the one before."""
    struck = dict(sandbox.injector.view()["injected"])  # type: ignore[call-overload]
    request = urllib.request.Request(f"{sandbox.url}/__sandbox/faults", json.dumps(plan).encode())
    urllib.request.urlopen(request, timeout=20).read()
    return struck


def read(account: Account, flow: str, passes: int) -> list[str]:
    """Read a flow up to so many times; the states it went through."""
    states = []
    with tenancy.acting_for(account.client_id, actor="test"):
        for _ in range(passes):
            (done,) = sync([account], now=NOW, flow=flow, sleep=lambda seconds: None, patience=timedelta(hours=1))
            states.append(done.pulled.state)
            if done.pulled.state == "done":
                break
    return states


def stored(account: Account) -> Dump:
    return {
        table: rows
        for table, rows in canonical_dump(Client.objects.get(pk=account.client_id)).items()
        if table.startswith(("orders_", "finance_", "catalog_listing"))
    }


_calm: dict[tuple[str, str], Dump] = {}


#: The suite tries the first kind of each row, make faults all of them.
TRIED = [
    pytest.param(kind, marks=[pytest.mark.fault] if number else [])
    for kinds in ROWS.values()
    for number, kind in enumerate(kinds)
]


@pytest.mark.parametrize("kind", TRIED)
@pytest.mark.scenario("A1-A12", "Every kind of fault strikes each request once; nothing is lost, doubled or changed")
def test_what_a_fault_spoils_is_read_again(sandbox: Sandbox, account_of: Any, kind: str, record_fault: Any):
    code, flow = SHOWN.get(kind, ("bunnings-au", "orders"))
    number = CLIENTS[code] * 1000 + list(KINDS).index(kind)
    if (code, flow) not in _calm:
        steer(sandbox, plan="calm")
        calm = account_of(code, number + 500)
        assert read(calm, flow, 3)[-1] == "done"
        _calm[code, flow] = stored(calm)
    account = account_of(code, number)
    steer(sandbox, kinds=[kind], rate=1, most=1, stall=0.05, page=12)
    states = read(account, flow, 12)
    struck = steer(sandbox, plan="calm")
    assert struck.get(kind, 0) > 0
    assert read(account, flow, 3)[-1] == "done"
    found = compare(_calm[code, flow], stored(account))
    assert found.equal, found.lines[:6]
    with tenancy.acting_for(account.client_id, actor="test"):
        assert not Quarantined.objects.filter(resolved_at=None).exists()
        account.refresh_from_db()
        assert account.status == Account.Status.ACTIVE
    record_fault(f"{kind}: {struck[kind]} times on {code} {flow}", lost=found.lost, doubled=found.duplicated,
                 readings=len(states) + 1)  # fmt: skip


def test_every_kind_that_heals_is_tried_and_named_plans_hold_no_other() -> None:
    tried = {name for names in ROWS.values() for name in names}
    assert tried == {name for name, kind in KINDS.items() if kind.heals} - {"gzip_bomb"}
