"""The control plane and the process: clock, truth, limits, wrappers, the command's first line."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.http import Handler, Request, Response, Wrapper

from .conftest import NOW, amazon_of, bunnings_of, call

ROOT = Path(__file__).resolve().parents[3]


def post(sandbox: Sandbox, path: str, body: object) -> int:
    return call(f"{sandbox.url}/__sandbox/{path}", "POST", body=json.dumps(body).encode()).status


def test_the_clock_reveals_more_and_never_takes_back(sandbox: Sandbox) -> None:
    eu, bunnings = amazon_of(sandbox), bunnings_of(sandbox)
    counts = []
    for days in (-40, -20, -5, 0, 6):
        moment = NOW + timedelta(days=days)
        assert post(sandbox, "clock", {"now": moment.isoformat()}) == 200
        orders = eu("/orders/2026-01-01/orders", {"createdAfter": "2026-09-01T00:00:00Z"}).data["orders"]
        assert all(order["lastUpdatedTime"] <= moment.strftime("%Y-%m-%dT%H:%M:%SZ") for order in orders)
        truth = call(f"{sandbox.url}/__sandbox/truth").body.splitlines()
        seen = (len(orders), bunnings("/api/orders").data["total_count"], len(truth))
        counts.append(seen)
    for earlier, later in pairwise(counts):
        assert all(a <= b for a, b in zip(earlier, later, strict=True))
    assert counts[0][0] < counts[-1][0]


def test_the_date_of_an_answer_follows_the_clock(sandbox: Sandbox) -> None:
    sandbox.set_clock(NOW + timedelta(days=2, hours=3))
    date = call(f"{sandbox.url}/__sandbox/world").headers["date"]
    assert parsedate_to_datetime(date) == NOW + timedelta(days=2, hours=3)


def test_the_truth_over_the_wire_is_the_truth_on_disk(small_sandbox: Sandbox) -> None:
    body = call(f"{small_sandbox.url}/__sandbox/truth").body
    assert [json.loads(line) for line in body.splitlines()] == small_sandbox.truth()
    assert small_sandbox.truth_file.name == "truth.jsonl"
    keys = {"type", "fault", "marketplace", "account_ref", "refs", "amount", "currency", "expected", "visible_from"}
    assert all(set(row) == keys for row in small_sandbox.truth())


def test_the_world_is_summed_up_with_its_product_master(small_sandbox: Sandbox) -> None:
    world = call(f"{small_sandbox.url}/__sandbox/world").data
    assert world["now"] == "2026-11-21T00:00:00Z"
    assert len(world["products"]) == world["skus"] == 240
    assert set(world["accounts"]) == {"amazon-eu", "amazon-us", "bunnings-au", "otto-de"}
    unknown = {row["refs"]["sku"] for row in small_sandbox.truth() if row["type"] == "missing_product_data"}
    assert unknown and not unknown & {product["sku"] for product in world["products"]}


def test_limits_can_be_made_faster_while_it_runs(sandbox: Sandbox) -> None:
    assert post(sandbox, "limits", {"speed": 50}) == 200
    limit = amazon_of(sandbox)("/sellers/v1/marketplaceParticipations").headers["x-amzn-ratelimit-limit"]
    assert limit == "0.8"
    assert post(sandbox, "limits", {"speed": 0}) == 400
    assert post(sandbox, "clock", {"when": "now"}) == 400


def test_wrappers_go_round_every_request() -> None:
    """Faults of the transport come in here, outermost first."""
    passed = []

    def noting(name: str) -> Wrapper:
        def wrap(handler: Handler) -> Handler:
            def handle(request: Request) -> Response:
                passed.append(name)
                return handler(request)

            return handle

        return wrap

    with start(orders=20, days=30, now=NOW, faults="none", wrappers=[noting("outer"), noting("inner")]) as sandbox:
        assert call(f"{sandbox.url}/__sandbox/world").status == 200
    assert passed == ["outer", "inner"]


def test_answers_are_the_same_bytes_in_another_run(small_sandbox: Sandbox) -> None:
    with start(seed=1, orders=300, days=60, now=NOW) as other:
        for path in ("/api/orders", "/api/sellerpayment/transactions_logs", "/api/seller-billing-cycles"):
            assert bunnings_of(other)(path).body == bunnings_of(small_sandbox)(path).body
        query = {"createdAfter": "2026-11-01T00:00:00Z", "includedData": "BUYER,PROCEEDS"}
        path = "/orders/2026-01-01/orders"
        assert amazon_of(other)(path, query).body == amazon_of(small_sandbox)(path, query).body


def test_many_may_ask_at_once(small_sandbox: Sandbox) -> None:
    ask = bunnings_of(small_sandbox)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: ask("/api/offers").body, range(64)))
    assert len(set(replies)) == 1


def test_the_package_imports_without_django_and_connectors() -> None:
    code = (
        "import sys; import marketplaces.sandbox.server; "
        "print([m for m in sys.modules if m.startswith(('django', 'marketplaces.connectors', 'marketplaces.protocols',"
        " 'marketplaces.http', 'marketplaces.records', 'marketplaces.port'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_command_says_where_it_listens_and_stops_when_told() -> None:
    arguments = ["--orders", "30", "--days", "30", "--seed", "7", "--now", "2026-11-21T00:00:00Z"]
    command = [sys.executable, "manage.py", "sandbox", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline().split()
            assert first[:2] == ["sandbox", "ready"]
            assert call(f"{first[2]}/__sandbox/world").data["seed"] == 7
        finally:
            process.terminate()
