"""Payment discrepancies become findings: found, not found, exactly at the limit, and alike ones in one ticket."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domventas.core.models import Client
from domventas.tests.filler import NOW, make
from finance.models import Discrepancy
from marketplaces.models import Account
from tickets.detector import Level, Look, Seen
from tickets.detectors.payment_discrepancy import ACTIONS, payment_discrepancy


@pytest.fixture
def account(acting: Client) -> Account:
    return Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")


def discrepancy(account: Account, name: str = "a", **values: Any) -> Discrepancy:
    given = {
        "account": account, "cause": "fee_overcharged", "kind": "referral_fee", "event": "sale", "fingerprint": name,
        "group_key": "rate|amazon.de", "site": "amazon.de", "line_ref": "123", "amount": Decimal("-1.05"),
        "currency": "EUR", "found_at": NOW, "state": "open",
    }  # fmt: skip
    return make(Discrepancy, **(given | values))


def seen() -> list[Seen]:
    return list(payment_discrepancy.find(Look(now=NOW, limits=payment_discrepancy.limits)))


def test_an_open_discrepancy_is_found_with_its_money(account: Account) -> None:
    discrepancy(account)
    (item,) = seen()
    assert (item.amount, item.currency, item.level, item.account_id) == (
        Decimal("-1.05"),
        "EUR",
        Level.OPEN,
        account.pk,
    )
    assert item.refs["line"] == "123" and item.check == "fee_overcharged"


@pytest.mark.parametrize("state", ["accepted", "claimed", "gone"])
def test_what_is_decided_or_gone_is_not_found(account: Account, state: str) -> None:
    discrepancy(account, state=state)
    assert seen() == []


@pytest.mark.parametrize(("amount", "level"), [("-0.05", Level.OPEN), ("0.05", Level.OPEN), ("-0.04", Level.HOLD)])
def test_crumbs_hold_and_open_nothing(account: Account, amount: str, level: Level) -> None:
    discrepancy(account, amount=Decimal(amount))
    assert [item.level for item in seen()] == [level]


def test_alike_ones_share_a_ticket_and_other_rates_do_not(account: Account) -> None:
    for name, group in (("a", "rate 15|amazon.de"), ("b", "rate 15|amazon.de"), ("c", "rate 17|amazon.de")):
        discrepancy(account, name, group_key=group)
    assert len({item.ticket_key for item in seen()}) == 2


def test_a_claim_that_ends_soon_is_a_deadline_and_a_later_one_is_none(account: Account) -> None:
    discrepancy(account, "a", claim_until=NOW.date() + timedelta(days=14))
    discrepancy(account, "b", claim_until=NOW.date() + timedelta(days=15))
    assert [item.deadline_at is not None for item in seen()] == [True, False]


def test_every_cause_says_what_to_do() -> None:
    assert set(ACTIONS) == set(Discrepancy.Cause)
