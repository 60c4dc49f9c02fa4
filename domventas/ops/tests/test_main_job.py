"""The main job end to end, on the real wire: from raw bytes to a reconciled cent, held against the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from domventas.core import tenancy
from domventas.core.models import Client
from domventas.ops import score
from domventas.ops.demo.life import Sandbox, drop_statements, furnish, run
from domventas.ops.demo.summary import receivables
from finance.models import Discrepancy, FeeRule, RuleGap, Settlement, SettlementLine
from marketplaces.sandbox.server import start

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ORDERS = 700
pytestmark = pytest.mark.xdist_group("main-job")


@pytest.fixture
def client(transactional_db: None) -> Client:
    return Client.objects.create(slug="dom-ventas", name="Dom Ventas")


@pytest.fixture
def lived(client: Client, request: pytest.FixtureRequest, settings: Any) -> Iterator[Any]:
    """A world read to its end: (client, sandbox, what sync and reconcile printed)."""
    with start(seed=3, orders=ORDERS, days=100, now=NOW, faults=request.param, speed=100_000) as sandbox:
        settings.SANDBOX_URL = sandbox.url
        furnish(client, Sandbox(url=sandbox.url), now=NOW)
        synced = run("sync", client=client.slug, now=NOW)
        drop_statements(client, Sandbox(url=sandbox.url), now=NOW)
        yield client, sandbox, synced, run("reconcile", client=client.slug, now=NOW)


@pytest.mark.parametrize("lived", ["payment"], indirect=True)
def test_every_planted_fault_is_found_with_its_cause_and_nothing_else(lived: Any) -> None:
    client, sandbox, synced, paid = lived
    assert {row["state"] for row in synced["runs"]} == {"done"}
    assert not any(row["quarantined"] for row in synced["runs"])
    with tenancy.acting_for(client):
        judged = score.score(score.truth(sandbox.url), now=NOW)
        for fault, tally in judged["reconciliation"].items():
            assert (tally["precision"], tally["recall"]) == (1.0, 1.0), (fault, tally)
            assert tally["planted"] >= 20, f"{fault}: too few planted to prove anything"
        assert judged["types"]["missing_product_data"]["recall"] == 1.0
        assert judged["tolerated_fees"] <= 1, "roundings of fees pile up: our formula and theirs differ"
        for settlement in Settlement.objects.exclude(status=Settlement.Status.WAITING):
            lines = SettlementLine.objects.filter(settlement=settlement).aggregate(total=Sum("amount"))["total"]
            # A period in which nothing happened is a statement of 0.00 without lines.
            assert (lines or Decimal(0)) == settlement.header_total, settlement.settlement_ref
        assert all(part["balanced"] for part in receivables().values())
    assert paid["balanced"]
    assert Decimal(paid["settled_share_by_value"]) >= Decimal("0.95")
    # Reading again changes nothing, and judging again writes nothing.
    again = run("sync", client=client.slug, now=NOW)
    assert sum(row["written"] for row in again["runs"]) == 0
    assert run("reconcile", client=client.slug, now=NOW)["written"] == 0


@pytest.mark.parametrize("lived", ["none"], indirect=True)
def test_a_clean_world_has_no_findings_and_missing_rules_are_gaps(lived: Any) -> None:
    client, _sandbox, _synced, paid = lived
    assert paid["discrepancies"] == 0
    with tenancy.acting_for(client):
        assert not Discrepancy.objects.exists()
        known = RuleGap.objects.aggregate(lines=Sum("line_count"))["lines"] or 0
    for draw in range(3):
        with tenancy.acting_for(client):
            rules = list(FeeRule.objects.order_by("site", "kind", "category", "fulfillment", "valid", "pk"))
            removed = random.Random(draw).sample(rules, k=len(rules) // 10)
            FeeRule.objects.filter(pk__in=[rule.pk for rule in removed]).delete()
        run("reconcile", client=client.slug, now=NOW)
        with tenancy.acting_for(client):
            assert (RuleGap.objects.aggregate(lines=Sum("line_count"))["lines"] or 0) > known, removed
            assert not Discrepancy.objects.exclude(state=Discrepancy.State.GONE).exists(), removed
            FeeRule.objects.bulk_create(removed)
