"""The books of a lived world agree, and one cent or one reversal astray is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from domventas.core import books, tenancy
from domventas.core.models import Client
from domventas.ops.demo.life import Sandbox, furnish, run
from marketplaces.sandbox.server import start

NOW = datetime(2026, 11, 21, tzinfo=UTC)
pytestmark = pytest.mark.xdist_group("main-job")


@pytest.fixture
def world(transactional_db: None, settings: Any) -> Iterator[Client]:
    """A small world read and reconciled to its end."""
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with start(seed=5, orders=150, days=60, now=NOW, speed=100_000) as sandbox:
        settings.SANDBOX_URL = sandbox.url
        furnish(client, Sandbox(url=sandbox.url), now=NOW)
        run("sync", client=client.slug, now=NOW)
        run("reconcile", client=client.slug, now=NOW)
        yield client


def broken() -> dict[str, int]:
    """Rules that do not hold, by name."""
    return {one.name: one.rows for one in books.verify() if not one.ok}


def change(client: Client, sql: str) -> None:
    """Something no service of ours would do."""
    with tenancy.acting_for(client), connections["default"].cursor() as cursor:
        cursor.execute(sql)
        assert cursor.rowcount > 0, "nothing was changed, so nothing is proved"


def test_the_books_agree_and_every_rule_can_break(world: Client) -> None:
    with tenancy.acting_for(world):
        assert broken() == {}
    one_line = "(SELECT min(id) FROM finance_settlementline WHERE reversed_in IS NULL AND reverses IS NULL)"
    one_order_line = "(SELECT min(id) FROM orders_orderline)"
    for sql in (
        f"UPDATE finance_settlementline SET amount = amount + 0.01, net_amount = net_amount + 1 WHERE id = {one_line}",
        f"UPDATE finance_settlementline SET currency = 'XTS' WHERE id = {one_line}",
        f"UPDATE finance_settlementline SET reversed_in = 2 WHERE id = {one_line}",
        "UPDATE finance_linereconciliation SET difference = difference + 0.01"
        " WHERE id = (SELECT min(id) FROM finance_linereconciliation WHERE difference IS NOT NULL)",
        "UPDATE finance_receivable SET open = open + 0.01 WHERE id = (SELECT min(id) FROM finance_receivable"
        " WHERE open IS NOT NULL AND state NOT IN ('paid', 'refunded', 'written_off'))",
        "UPDATE finance_receivable SET sales = sales + 0.01"
        " WHERE id = (SELECT min(id) FROM finance_receivable WHERE sales IS NOT NULL)",
        f"UPDATE orders_orderline SET quantity_shipped = quantity + 1 WHERE id = {one_order_line}",
        "UPDATE orders_ordercharge SET currency = 'XTS' WHERE id = (SELECT min(id) FROM orders_ordercharge)",
        f"UPDATE orders_orderline SET account_id = account_id + 1000 WHERE id = {one_order_line}",
    ):
        change(world, sql)
    with tenancy.acting_for(world):
        assert set(broken()) == {check.name for check in books.checks()}
    out = StringIO()
    with pytest.raises(CommandError, match="do not agree"):
        call_command("verify_books", json=True, stdout=out, stderr=StringIO())
    told = json.loads(out.getvalue().splitlines()[-1])
    assert told["ok"] is False and len(told["checks"]) == len(list(books.checks()))
