"""Secrets that run out are told with their day until new ones are entered; refused ones until a sign-in works again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.tests.canaries import TOY_KEY
from marketplaces.errors import Unauthorized
from marketplaces.models import Account
from marketplaces.port import Window
from marketplaces.registry import connectors
from marketplaces.services import accounts
from marketplaces.services.pull import pull_stream
from tickets.detector import Look, Seen
from tickets.detectors.technical_issue import technical_issue
from tickets.tests.detectors.conftest import House, another

pytestmark = pytest.mark.db


def seen(house: House) -> list[Seen]:
    look = Look(now=house.clock(), limits=technical_issue.limits)
    return [item for item in technical_issue.find(look) if item.check == "expiry"]


def closed(house: House) -> bool:
    """Whether an hour without trouble closes everything, and not before."""
    assert all(house.look(technical_issue, minutes=15) for _ in range(3))
    return house.look(technical_issue, minutes=15) == []


def test_secrets_open_two_weeks_before_their_last_day_and_close_with_new_ones(house: House) -> None:
    accounts.set_expiry(house.account, date(2026, 11, 30))
    assert house.look(technical_issue, days=14) == [], "15 days before"
    (ticket,) = house.look(technical_issue, days=1)
    assert ticket.cause == "The secrets of this account run out on 2026-11-30, in 14 days."
    assert (ticket.title, ticket.severity, ticket.impact_day) == ("toy-1: secrets run out", "S3", None)
    assert ticket.deadline_at is not None and ticket.deadline_at.date() == date(2026, 11, 30)
    finding = ticket.findings.get()
    assert (finding.refs["where"], finding.refs["where_row"]) == ("account", house.account.pk)
    assert [item.severity for days in (8, 4, 4) if house.clock.forward(days=days) is None for item in seen(house)] == [
        "S2", "S1", "S1",
    ]  # fmt: skip
    assert "have run out on 2026-11-30" in seen(house)[0].cause
    house.look(technical_issue, minutes=1)
    accounts.set_secrets(house.account, {"key": TOY_KEY}, now=house.clock())
    assert closed(house)


def test_what_the_marketplace_lets_last_counts_where_nobody_said_more(house: House) -> None:
    toy = connectors["toy"]
    key = replace(toy.credential_fields[0], lasts=timedelta(days=180))
    connectors["toy"] = replace(toy, credential_fields=(key,))
    house.clock.forward(days=166)
    (item,) = seen(house)
    assert item.facts["day"] == "2027-04-30" and "at the latest" in item.cause
    accounts.set_expiry(house.account, date(2027, 9, 1))
    assert seen(house) == []
    accounts.pause(house.account)
    accounts.set_expiry(house.account, None)
    assert seen(house) == [], "what people paused is no trouble"


def test_amazons_client_secret_lasts_half_a_year() -> None:
    (field,) = (field for field in connectors["amazon"].credential_fields if field.lasts)
    assert (field.name, field.lasts) == ("client_secret", timedelta(days=180))


def test_refused_secrets_are_told_until_a_sign_in_works(house: House) -> None:
    def refuse(window: Window, token: str) -> None:
        raise Unauthorized("The key is not known any more.", "orders")

    house.toy.before = refuse
    house.clock.forward(hours=1)
    assert pull_stream(house.account, "orders", now=house.clock()).state != "done"
    found = {ticket.findings.get().refs["flow"]: ticket for ticket in house.look(technical_issue, minutes=1)}
    ticket = found["orders"]
    assert (ticket.severity, ticket.findings.get().refs["where"]) == ("S1", "account")
    assert "The key is not known any more." in ticket.cause
    house.toy.before = lambda window, token: None
    assert accounts.test_connection(Account.objects.get(), now=house.clock()).ok
    pull_stream(Account.objects.get(), "orders", now=house.clock())
    assert closed(house)


def test_the_number_of_queries_does_not_grow_with_accounts(house: House) -> None:
    counts, number = [], 1
    for more in (1, 18):
        for _ in range(more):
            number += 1
            another(f"toy-{number}", now=house.clock())
        for account in Account.objects.all():
            accounts.set_expiry(account, house.clock().date())
        with CaptureQueriesContext(connection) as queries:
            assert len(seen(house)) == number
        counts.append(len(queries))
    assert counts[0] == counts[1]
