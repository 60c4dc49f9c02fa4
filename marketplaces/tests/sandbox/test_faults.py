"""The fault plan: what it decides, that every kind really happens on the wire, that it can be changed and counted."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pytest

from marketplaces.sandbox.faults.kinds import KINDS
from marketplaces.sandbox.faults.plan import PLANS, Plan, named, split
from marketplaces.sandbox.server import Sandbox, start

from .conftest import NOW, Reply, amazon_of, bunnings_of, call

LISTINGS = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": ["A1PA6795UKMFR9"]}
SETTLEMENTS = {"reportTypes": "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"}
UPDATED = {"lastUpdatedAfter": "2026-09-01T00:00:00Z", "maxResultsPerPage": "10", "includedData": "FULFILLMENT"}


@pytest.fixture(scope="module")
def faulty() -> Iterator[Sandbox]:
    with start(seed=1, orders=150, days=60, skus=30, now=NOW, faults="none") as sandbox:
        yield sandbox


def faults(sandbox: Sandbox, **plan: Any) -> Reply:
    return call(f"{sandbox.url}/__sandbox/faults", "POST", body=json.dumps(plan).encode())


Question = Callable[[], Reply]


def conversation(sandbox: Sandbox) -> list[Question]:
    """Every sort of question a client asks, the follow-up pages too; their marks are learned from a calm sandbox."""
    faults(sandbox, plan="calm")
    eu, us, bunnings = amazon_of(sandbox), amazon_of(sandbox, "Atzr|sandbox-us"), bunnings_of(sandbox)
    following = {**UPDATED, "paginationToken": eu("/orders/2026-01-01/orders", UPDATED).data["pagination"]["nextToken"]}
    asked = eu("/reports/2021-06-30/reports", method="POST", body=LISTINGS).data["reportId"]
    settled = us("/reports/2021-06-30/reports", SETTLEMENTS).data["reports"][0]["reportDocumentId"]
    link = us(f"/reports/2021-06-30/documents/{settled}").data["url"]
    ahead = sandbox.state.timer() - time.time() + 2
    sandbox.state.timer = lambda: time.time() + ahead  # the report asked for is done
    return [
        lambda: eu("/orders/2026-01-01/orders", UPDATED),
        lambda: eu("/orders/2026-01-01/orders", following),
        lambda: eu("/finances/2024-06-19/transactions", {"postedAfter": "2026-10-01T00:00:00Z"}),
        lambda: eu(f"/reports/2021-06-30/reports/{asked}"),
        lambda: call(link),
        lambda: bunnings("/api/orders", {"max": 10, "offset": 10}),
        lambda: bunnings("/api/sellerpayment/transactions_logs", {"limit": 50}),
    ]


def test_the_same_seed_request_and_attempt_meet_the_same_fault():
    plan = named("storm", seed=3, rate=0.5)
    again = named("storm", seed=3, rate=0.5)
    asked = [(f"GET /{n}", attempt) for n in range(20) for attempt in range(1, 6)]
    assert [plan.order(*one) for one in asked] == [again.order(*one) for one in reversed(asked)][::-1]
    other = named("storm", seed=4, rate=0.5)
    assert [plan.order(*one) for one in asked] != [other.order(*one) for one in asked]


@pytest.mark.parametrize("most", [1, 3])
def test_whoever_goes_on_asking_gets_an_answer(most: int):
    plan = Plan(kinds=("reset", "html"), rate=0.95, most=most)
    for request in range(50):
        spoiled = [bool(plan.order(f"GET /{request}", attempt)) for attempt in range(1, 41)]
        assert max(len(list(run)) for is_bad, run in groupby(spoiled) if is_bad) == most


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "gzip_bomb"])
def test_every_kind_of_fault_happens_on_the_wire(faulty: Sandbox, kind: str):
    questions = conversation(faulty)
    truths = [question() for question in questions]
    faults(faulty, kinds=[kind], rate=1, most=1)
    spoiled: list[Reply | Exception] = []
    for question in questions:
        try:
            spoiled.append(question())
        except (http.client.HTTPException, OSError) as error:
            spoiled.append(error)
    told = call(f"{faulty.url}/__sandbox/faults").data
    assert told["injected"].get(kind, 0) == told["faults"] >= 1
    # A delay and a wrong date change no byte of the body.
    same = [isinstance(bad, Reply) and bad.body == good.body for bad, good in zip(spoiled, truths, strict=True)]
    if kind not in ("drip", "clock_skew"):
        assert not all(same)
    healed = [question() for question in questions]
    assert [reply.body for reply in healed] == [reply.body for reply in truths]
    assert call(f"{faulty.url}/__sandbox/faults").data["faults"] == told["faults"]


def test_a_plan_is_switched_while_the_sandbox_runs_and_the_control_plane_is_never_spoiled(faulty: Sandbox):
    assert faults(faulty, plan="network", seed=9, rate=1).data["plan"]["seed"] == 9
    assert call(f"{faulty.url}/__sandbox/world").status == 200
    assert call(f"{faulty.url}/__sandbox/faults").data["requests"] == 0
    assert faults(faulty, plan="calm").data["plan"]["kinds"] == []
    assert bunnings_of(faulty)("/api/orders").status == 200
    assert call(f"{faulty.url}/__sandbox/faults").data == {
        "plan": {"kinds": [], "seed": 1, "rate": 0.3, "most": 3, "stall": 0.05, "page": 0},
        "requests": 1, "faults": 0, "injected": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"plan": "hurricane"}, {"kinds": ["rain"]}, {"plan": "storm", "rate": 2}, {"plan": "storm", "luck": 1}]
)
def test_a_plan_nobody_knows_is_refused_by_name(faulty: Sandbox, wrong: dict[str, Any]):
    refused = faults(faulty, **wrong)
    assert refused.status == 400
    assert any(word in refused.data["message"] for word in ("hurricane", "rain", "rate", "luck"))


def test_what_the_option_says():
    assert split("payment", seed=1) == ("payment", named("calm", seed=1))
    assert split("none,storm", seed=5) == ("none", named("storm", seed=5))
    assert split("storm", seed=5)[0] == "payment"
    spelled = '{"world": "none", "kinds": ["html"], "rate": 0.5, "seed": 3}'
    assert split(spelled, seed=1) == ("none", Plan(kinds=("html",), rate=0.5, seed=3))
    for wrong in ("hurricane", "none,storm,payment", "[]"):
        with pytest.raises(ValueError, match="plan"):
            split(wrong, seed=1)


def test_named_plans_hold_only_what_asking_again_heals():
    assert all(KINDS[name].heals for plan in PLANS.values() for name in plan)
    assert "gzip_bomb" not in PLANS["storm"]
    assert {kind.group for name in PLANS["storm"] if (kind := KINDS[name])} == {
        "network", "payload", "records", "pages", "access", "reports",
    }  # fmt: skip
