"""What the sandbox counts and what it can take away: calls per operation, sign-ins, tokens and consents."""

from __future__ import annotations

import json

import pytest

from marketplaces.sandbox.server import Sandbox

from .conftest import amazon_of, bunnings_of, call, sign_in

PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"


def counts(sandbox: Sandbox) -> dict:
    return call(f"{sandbox.url}/__sandbox/calls").data


def tokens(sandbox: Sandbox, account: str, action: str) -> dict:
    body = json.dumps({"account": account, "action": action}).encode()
    return call(f"{sandbox.url}/__sandbox/tokens", "POST", body=body).data


def test_calls_within_and_over_the_limit_are_counted_apart(sandbox: Sandbox) -> None:
    sandbox.state.buckets.speed = 1e-6
    eu, us = amazon_of(sandbox), amazon_of(sandbox, "Atzr|sandbox-us")
    codes = [eu(PARTICIPATIONS).status for _ in range(18)]
    us(PARTICIPATIONS)
    assert codes == [200] * 15 + [429] * 3
    found = counts(sandbox)
    ((operation, count),) = found["amazon-eu"]["operations"].items()
    assert (operation, count["calls"], count["over"]) == ("getMarketplaceParticipations", 15, 3)
    assert count["seconds"] >= 0
    assert found["amazon-us"]["operations"]["getMarketplaceParticipations"]["calls"] == 1
    assert [found[name]["token_refreshes"] for name in ("amazon-eu", "amazon-us")] == [1, 1]
    assert call(f"{sandbox.url}/__sandbox/calls", "POST", body=b"{}").data == {}
    assert eu(PARTICIPATIONS).status == 429  # the levels stay


def test_an_expired_token_is_refused_and_a_new_one_given(sandbox: Sandbox) -> None:
    eu, us = amazon_of(sandbox), amazon_of(sandbox, "Atzr|sandbox-us")
    assert tokens(sandbox, "amazon-eu", "expire") == {"account": "amazon-eu", "expired": 1, "revoked": False}
    refused = eu(PARTICIPATIONS)
    assert (refused.status, refused.data["errors"][0]["details"]) == (
        403, "The access token you provided has expired.",
    )  # fmt: skip
    assert us(PARTICIPATIONS).status == 200
    assert amazon_of(sandbox)(PARTICIPATIONS).status == 200


def test_a_revoked_consent_gives_no_token_until_it_is_restored(sandbox: Sandbox) -> None:
    tokens(sandbox, "amazon-eu", "revoke")
    assert (sign_in(sandbox).status, sign_in(sandbox).data["error"]) == (400, "invalid_grant")
    assert sign_in(sandbox, "Atzr|sandbox-us").status == 200
    assert counts(sandbox)["amazon-eu"]["sign_ins_refused"] == 2
    tokens(sandbox, "amazon-eu", "restore")
    assert sign_in(sandbox).status == 200


def test_a_withdrawn_key_is_refused(sandbox: Sandbox) -> None:
    bunnings = bunnings_of(sandbox)
    assert bunnings("/api/account").status == 200
    tokens(sandbox, "bunnings-au", "revoke")
    assert bunnings("/api/account").status == 401
    tokens(sandbox, "bunnings-au", "restore")
    assert bunnings("/api/account").status == 200


@pytest.mark.parametrize("told", [{}, {"account": "amazon-eu"}, {"account": "nobody", "action": "expire"}])
def test_an_order_nobody_understands_is_refused_with_an_example(sandbox: Sandbox, told: dict) -> None:
    answer = call(f"{sandbox.url}/__sandbox/tokens", "POST", body=json.dumps(told).encode())
    assert (answer.status, "amazon-eu" in answer.data["message"]) == (400, True)
