"""Clients nobody here wrote read the sandbox as they would read Amazon: so it is Amazon's wire, not one of ours."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from marketplaces.sandbox.server import Sandbox

from .conftest import Call, call
from .test_amazon_wire import SETTLEMENTS, all_orders

SINCE = "2026-10-20T00:00:00Z"
GERMANY = "A1PA6795UKMFR9"
CLIENTS = Path(__file__).parent / "clients"


def run(program: str, sandbox: Sandbox) -> Any:
    """What a client found. It runs in a process of its own, because both change logging when they are imported."""
    done = subprocess.run(
        [sys.executable, str(CLIENTS / program), sandbox.url, SINCE], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def settlement_text(ask: Call) -> str:
    """The newest settlement file, fetched without any client library."""
    newest = ask("/reports/2021-06-30/reports", {"reportTypes": SETTLEMENTS}).data["reports"][0]
    found = ask(f"/reports/2021-06-30/documents/{newest['reportDocumentId']}").data
    body = call(found["url"]).body
    return (gzip.decompress(body) if found.get("compressionAlgorithm") == "GZIP" else body).decode()


@pytest.mark.parametrize("program", ["with_amzn_sp_api.py", "with_python_amazon_sp_api.py"])
def test_a_strangers_client_reads_orders_a_report_and_its_document(
    program: str, small_sandbox: Sandbox, eu: Call
) -> None:
    found = run(program, small_sandbox)
    expected = all_orders(eu, {"createdAfter": SINCE, "marketplaceIds": GERMANY, "includedData": "FULFILLMENT"})
    assert len(expected) > 40
    assert sorted(found["orders"]) == sorted([o["orderId"], o["fulfillment"]["fulfillmentStatus"]] for o in expected)
    header, *rows = found["listings"].splitlines()
    assert "seller-sku" in header.split("\t")
    assert len(rows) > 20
    assert found["settlement"].splitlines() == settlement_text(eu).splitlines()
