"""Budgets shared by workers: nothing is granted beyond them, and a marketplace's own word wins."""

from __future__ import annotations

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from marketplaces.port import Limit
from marketplaces.throttle import Limiter, LocalLimiter, RedisLimiter

LIMIT = Limit(rate=1.0, burst=5)


@pytest.fixture(params=["redis", "local"])
def limiter(request: pytest.FixtureRequest) -> Limiter:
    if request.param == "local":
        return LocalLimiter()
    return RedisLimiter(os.environ["REDIS_URL"], prefix=f"test-{uuid.uuid4()}")


def test_a_fresh_bucket_grants_its_burst_and_then_says_how_long_to_wait(limiter: Limiter) -> None:
    assert [limiter.acquire("a", "op", LIMIT) for _ in range(5)] == [0.0] * 5
    assert 0.5 < limiter.acquire("a", "op", LIMIT) <= 1.0


def test_accounts_and_operations_have_budgets_of_their_own(limiter: Limiter) -> None:
    for _ in range(5):
        limiter.acquire("a", "op", LIMIT)
    assert limiter.acquire("a", "op", LIMIT) > 0
    assert limiter.acquire("b", "op", LIMIT) == 0.0
    assert limiter.acquire("a", "other", LIMIT) == 0.0


def test_the_rate_the_marketplace_names_replaces_the_declared_one(limiter: Limiter) -> None:
    for _ in range(5):
        limiter.acquire("a", "op", LIMIT)
    limiter.learn("a", "op", LIMIT, 100.0)
    assert limiter.acquire("a", "op", LIMIT) <= 0.01


def test_after_too_many_requests_the_account_waits_as_long_as_told(limiter: Limiter) -> None:
    assert limiter.close("a", "op", LIMIT, 30.0) == 30.0
    assert 29.0 < limiter.acquire("a", "op", LIMIT) <= 30.0
    assert limiter.acquire("b", "op", LIMIT) == 0.0


def test_without_a_stated_time_it_waits_for_one_refill(limiter: Limiter) -> None:
    slow = Limit(rate=0.1, burst=2)
    assert limiter.close("a", "op", slow, None) == pytest.approx(10.0)


def test_workers_together_never_get_more_than_the_budget(limiter: Limiter) -> None:
    slow, granted, lock = Limit(rate=0.001, burst=20), [0], threading.Lock()

    def ask(_: int) -> None:
        if limiter.acquire("a", "op", slow) == 0.0:
            with lock:
                granted[0] += 1

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(ask, range(200)))
    assert granted[0] == 20


def test_a_local_bucket_refills_with_time() -> None:
    now = [0.0]
    limiter = LocalLimiter(lambda: now[0])
    for _ in range(5):
        limiter.acquire("a", "op", LIMIT)
    now[0] = 2.0
    assert [limiter.acquire("a", "op", LIMIT) for _ in range(3)] == [0.0, 0.0, 1.0]
