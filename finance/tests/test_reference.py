"""Shipped rules follow the shipped files; what staff wrote stays."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields.ranges import DateRange
from django.core.management import call_command
from django.db.backends.postgresql.psycopg_any import NumericRange

from domventas.core.tenancy import acting_for
from finance.models import FeeKindMap, FeeRule, PaymentTerm, RefundRule, Tolerance
from finance.services.reference import sync_reference
from finance.services.reference_rows import TABLES, BadReference, read
from finance.testing import account
from finance.tests.test_settlements import tuples_written
from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.signals import account_created

pytestmark = pytest.mark.db


@pytest.mark.parametrize("channel", ["amazon", "bunnings"])
def test_every_shipped_row_becomes_a_row_of_the_client(acting: Any, channel: str) -> None:
    done = sync_reference(channel)
    stored = sum(model.objects.count() for model in (FeeKindMap, FeeRule, RefundRule, PaymentTerm, Tolerance))
    assert done.created == stored == sum(len(connectors[channel].reference(table.file)) for table in TABLES)


def test_loading_them_again_writes_nothing(acting: Any) -> None:
    sync_reference("amazon")
    before = tuples_written()
    again = sync_reference("amazon")
    assert (again.created, again.updated, again.deleted, again.kept) == (0, 0, 0, 0)
    assert tuples_written() == before


def test_a_shipped_row_that_went_astray_is_brought_back(acting: Any) -> None:
    sync_reference("amazon")
    FeeRule.objects.filter(site="amazon.de", category="tools", valid__endswith=None).update(rate=Decimal("0.5"))
    FeeKindMap.objects.filter(pattern="order|itemprice|principal").delete()
    FeeKindMap.objects.create(channel="amazon", pattern="withdrawn", event="sale", kind="goodwill", origin="shipped")
    again = sync_reference("amazon")
    assert (again.created, again.updated, again.deleted) == (1, 1, 1)
    assert FeeRule.objects.get(site="amazon.de", category="tools", valid__endswith=None).rate == Decimal("0.12")


def test_what_staff_wrote_wins_over_what_is_shipped(acting: Any) -> None:
    everything = NumericRange(None, None)
    FeeRule.objects.create(
        site="amazon.de", kind="referral_fee", category="sports", price_band=everything, weight_band=everything,
        basis="gross_incl_tax", rate=Decimal("0.11"), currency="EUR", valid=DateRange(date(2026, 1, 1), None),
        source="our contract",
    )  # fmt: skip
    FeeKindMap.objects.create(channel="amazon", pattern="order|itemprice|principal", event="sale", kind="goodwill")
    done = sync_reference("amazon")
    assert done.kept == 2
    assert FeeRule.objects.get(site="amazon.de", category="sports").rate == Decimal("0.11")
    assert FeeKindMap.objects.get(pattern="order|itemprice|principal").kind == "goodwill"
    assert sync_reference("amazon").kept == 2


def test_a_rule_ends_on_the_day_its_successor_begins(acting: Any) -> None:
    sync_reference("amazon")
    old, new = FeeRule.objects.filter(site="amazon.de", kind="referral_fee", category="tools").order_by("valid")
    assert (old.valid.upper, old.rate, new.valid.lower, new.rate) == (
        date(2026, 10, 1), Decimal("0.13"), date(2026, 10, 1), Decimal("0.12"),
    )  # fmt: skip


def test_a_new_account_gets_its_marketplaces_rules(acting: Any) -> None:
    shop = account("bunnings-au", sites=["bunnings.com.au"])
    account_created.send(sender=Account, account=shop, now=None)
    assert FeeRule.objects.filter(site="bunnings.com.au").exists()
    assert not FeeRule.objects.filter(site="amazon.de").exists()


def test_one_clients_rules_are_not_the_others(acting: Any, client2: Any) -> None:
    sync_reference("bunnings")
    with acting_for(client2):
        assert not FeeRule.objects.exists()


def test_a_file_that_cannot_be_read_names_file_row_and_reason() -> None:
    rules = next(table for table in TABLES if table.file == "payment_terms")
    rows = [{"site": "x", "basis": "delivered", "release_days": "7", "cycle_days": "week", "grace_days": "5"}]
    with pytest.raises(BadReference, match=r"amazon/payment_terms\.csv, row 2: .*'week'"):
        read(rules, "amazon", rows)


def test_the_command_syncs_every_client(acting: Any, client2: Any, capsys: pytest.CaptureFixture[str]) -> None:
    account("bunnings-au", sites=["bunnings.com.au"])
    call_command("sync_reference", json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["clients"]
    assert told["other-house"] == {}
    assert told["dom-ventas"]["bunnings"]["created"] > 50
