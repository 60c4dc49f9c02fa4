"""The monitor never says that all is well while something is missing or did not get through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.timezone import now as clock

from domventas.core.models import Client, TaskRun
from domventas.core.roles import Role
from domventas.tests.filler import make
from marketplaces.models import Account, InboundEvent, OutboxCommand, Quarantined, Stream
from marketplaces.tests.test_pages import HOME, browser, text

MONITOR = f"{HOME}/system/monitor/"
YESTERDAY = clock() - timedelta(days=1)
ALL_WELL = "Nothing: every flow is fresh and without a gap"


@pytest.fixture
def fresh(account: Account) -> Account:
    """An account of which everything is here."""
    Stream.objects.update(complete_until=clock() - timedelta(minutes=1), failures=0)
    return account


@pytest.fixture
def admin(client_of: Client) -> Browser:
    """The client's administrator."""
    return browser(client_of, Role.ADMIN)


def test_when_all_is_well_the_monitor_says_what_it_looked_at(fresh: Account, admin: Browser) -> None:
    page = text(admin.get(MONITOR))
    rest = "every statement that is due is here, no record is in quarantine, no event, push or job has failed."
    assert f"{ALL_WELL}, {rest}" in page
    assert "not everything is here" not in page


def test_who_may_not_see_money_is_told_nothing_of_statements(fresh: Account, client_of: Client) -> None:
    page = text(browser(client_of, Role.OPS).get(MONITOR))
    assert f"{ALL_WELL}, no record is in quarantine" in page and "statement" not in page


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (Quarantined, {"flow": "gone", "resolved_at": None, "first_seen_at": YESTERDAY}, "1 record in quarantine"),
        (InboundEvent, {"state": "failed"}, "1 event has failed"),
        (OutboxCommand, {"state": "refused", "payload": {}}, "1 push was refused"),
        (OutboxCommand, {"state": "unknown", "payload": {}}, "whether 1 push arrived is unknown"),
        (OutboxCommand, {"state": "given_up", "payload": {}}, "1 push was given up"),
        (TaskRun, {"state": "quarantined", "task": "orders.pull.toy"}, "1 job was put aside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_did_not_get_through_is_told_whatever_the_filters_show(
    model: Any, values: dict[str, Any], words: str, fresh: Account, admin: Browser
) -> None:
    if model is OutboxCommand:
        whose = {"account": make(Account, code="amazon-eu", channel="amazon", status="active"), "verb": "shipments"}
    else:
        whose = {"account_id": fresh.pk} if model is TaskRun else {"account": fresh}
    make(model, **whose, **values)
    for tail in ("", "?flow=orders", "?state=fresh"):
        page = text(admin.get(MONITOR + tail))
        assert words in page and ALL_WELL not in page, tail


def test_a_hole_is_counted_and_its_flow_found_by_the_filter(fresh: Account, admin: Browser) -> None:
    Stream.objects.filter(flow="offers").update(last_error="no", failures=1)
    page = text(admin.get(MONITOR))
    assert "1 flow is not fresh" in page and ALL_WELL not in page
    found = text(admin.get(f"{MONITOR}?state=needs"))
    assert "toy-1 Offers: failing" in found and "toy-1 Orders: fresh" not in found
    assert "No flow that these filters show needs anybody." in text(admin.get(f"{MONITOR}?flow=orders"))
