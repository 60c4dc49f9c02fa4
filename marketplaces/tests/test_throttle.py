"""Budgets shared by workers: nothing is granted beyond them, and a marketplace's own word wins."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from marketplaces.port import Limit, Priority
from marketplaces.throttle import Limiter, LocalLimiter, SharedLimiter

LIMIT = Limit(rate=1.0, burst=5)


@pytest.fixture(params=["redis", "local"])
def limiter(request: pytest.FixtureRequest) -> Limiter:
    if request.param == "local":
        return LocalLimiter()
    return shared()


def shared() -> SharedLimiter:
    """A budget of its own in the real Valkey, with accounts that have never been called."""
    made = SharedLimiter(os.environ["REDIS_URL"], prefix=f"test-{uuid.uuid4()}")
    for account in ("a", "b"):
        made.welcome(account)
    return made


def test_a_fresh_bucket_grants_all_but_one_of_its_burst_and_then_says_how_long_to_wait(limiter: Limiter) -> None:
    slow = Limit(rate=0.01, burst=5)
    assert [limiter.acquire("a", "op", slow) for _ in range(4)] == [0.0] * 4
    assert 50 < limiter.acquire("a", "op", slow) <= 100


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
    assert 15.0 < limiter.acquire("a", "op", LIMIT) <= 30.0
    assert limiter.acquire("b", "op", LIMIT) == 0.0


def test_a_later_refusal_never_shortens_the_silence_asked_for(limiter: Limiter) -> None:
    limiter.close("a", "op", LIMIT, 600.0)
    assert 599.0 < limiter.close("a", "op", LIMIT, None) <= 600.0  # a call that was under way
    assert 599.0 < limiter.acquire("a", "op", LIMIT) <= 600.0
    assert limiter.close("a", "op", LIMIT, 900.0) == pytest.approx(900.0)


def test_a_silence_is_remembered_to_its_end_however_often_somebody_asks() -> None:
    limiter = shared()
    limiter.close("a", "op", LIMIT, 3600.0)
    assert limiter.acquire("a", "op", LIMIT) > 3599
    (bucket, _since, _waits) = limiter._keys("a", "op")
    assert limiter._client.pttl(bucket) > 3_600_000


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
    assert granted[0] == 19


def test_a_local_bucket_refills_with_time() -> None:
    now = [0.0]
    limiter = LocalLimiter(lambda: now[0])
    for _ in range(5):
        limiter.acquire("a", "op", LIMIT)
    now[0] = 2.0
    assert [limiter.acquire("a", "op", LIMIT) for _ in range(3)] == [0.0, 0.0, 1.0]


# ── who goes first ──────────────────────────────────────────────────────────────────────────────────────────────────
SLOW = Limit(rate=0.001, burst=20)


def granted(limiter: Limiter, limit: Limit, priority: Priority, asked: int) -> int:
    return sum(limiter.acquire("a", "op", limit, priority) == 0 for _ in range(asked))


def test_each_class_leaves_a_reserve_to_those_above_it(limiter: Limiter) -> None:
    taken = [granted(limiter, SLOW, kind, 30) for kind in reversed(Priority)]
    assert taken == [9, 3, 3, 4]  # of 19: bulk down to half the burst, money to 7, push to 4, orders to nothing


def test_a_bucket_for_one_call_serves_every_class(limiter: Limiter) -> None:
    assert limiter.acquire("a", "op", Limit(rate=0.001, burst=1), Priority.BULK) == 0.0


@pytest.mark.parametrize("limit", [Limit(rate=200.0, burst=10), Limit(rate=40.0, burst=1)])
def test_a_saturated_class_above_never_starves_those_below(limit: Limit) -> None:
    limiter, counts = shared(), dict.fromkeys(Priority, 0)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        for kind in (Priority.REALTIME, Priority.REALTIME, *Priority):
            counts[kind] += limiter.acquire("a", "op", limit, kind) == 0.0
    total = sum(counts.values())
    assert counts[Priority.REALTIME] > 0.5 * total
    assert all(counts[kind] >= 0.07 * total for kind in Priority), counts


def test_bulk_alone_gets_the_whole_rate(limiter: Limiter) -> None:
    limit, count, begun = Limit(rate=100.0, burst=100), 0, time.monotonic()
    while count < 49 + 100:  # what lay there above the reserve, and a second of the rate
        count += limiter.acquire("a", "op", limit, Priority.BULK) == 0.0
    assert 0.8 <= time.monotonic() - begun < 1.9, "half the rate would take two seconds"


def test_orders_hardly_wait_while_bulk_takes_all_it_can_get() -> None:
    limiter, limit, waits, begun = shared(), Limit(rate=50.0, burst=20), [], time.monotonic()
    while len(waits) < 30:
        limiter.acquire("a", "op", limit, Priority.BULK)
        if len(waits) < 20 * (time.monotonic() - begun):
            waits.append(limiter.acquire("a", "op", limit, Priority.REALTIME))
    assert sorted(waits)[len(waits) * 95 // 100] <= 0.02


# ── what is known and what is lost ──────────────────────────────────────────────────────────────────────────────────
def test_after_a_loss_of_valkey_no_bucket_begins_with_its_burst() -> None:
    limiter = shared()
    assert granted(limiter, SLOW, Priority.REALTIME, 30) == 19
    limiter._client.delete(*limiter._client.keys(f"{limiter._prefix}*"))
    assert granted(limiter, SLOW, Priority.REALTIME, 30) == 1  # the one we keep in hand
    fast, begun = Limit(rate=10.0, burst=20), time.monotonic()
    assert limiter.acquire("a", "other", fast) == 0.0
    time.sleep(0.3)
    got = granted(limiter, fast, Priority.REALTIME, 30)
    assert 2 <= got <= 1 + 10 * (time.monotonic() - begun)


def test_without_valkey_each_process_spends_a_small_share() -> None:
    limiter = SharedLimiter("unix:///nowhere/valkey.sock")
    fast = Limit(rate=100.0, burst=20)
    assert limiter.acquire("a", "op", fast) > 0
    limiter.learn("a", "op", fast, 200.0)
    begun, count = time.monotonic(), 0
    while count < 10:  # a tenth of 200 calls per second
        count += limiter.acquire("a", "op", fast) == 0.0
    assert 0.4 <= time.monotonic() - begun < 5.0
    assert limiter.close("a", "op", fast, 3.0) == 3.0
    assert limiter.levels({("a", "op"): fast}) is None


def test_a_refused_call_lowers_the_rate_and_calls_that_go_well_restore_it() -> None:
    limiter, limit = shared(), Limit(rate=100.0, burst=5)

    def rate() -> float:
        return limiter.levels({("a", "op"): limit})[("a", "op")].rate

    limiter.acquire("a", "op", limit)
    for _ in range(3):  # three workers hear of the same refusal
        limiter.close("a", "op", limit, 0.01)
    assert rate() == pytest.approx(90.0)
    limiter.learn("a", "op", limit, 100.0)
    assert rate() == pytest.approx(90.0)
    until = time.monotonic() + 5
    while rate() < 100 and time.monotonic() < until:
        limiter.acquire("a", "op", limit)
    assert rate() == pytest.approx(100.0)


def test_how_a_budget_stands_can_be_read() -> None:
    limiter, limit = shared(), Limit(rate=0.001, burst=5)
    untouched = limiter.levels({("a", "op"): limit})[("a", "op")]
    assert (untouched.tokens, untouched.closed_until, untouched.wait_p95()) == (4.0, None, None)
    for waited in (0.0, 0.0, 3.0):
        limiter.acquire("a", "op", limit, Priority.REALTIME, waited)
    level = limiter.levels({("a", "op"): limit})[("a", "op")]
    assert (level.rate, level.burst) == (0.001, 5)
    assert level.tokens == pytest.approx(1.0, abs=0.01)
    assert (level.wait_p95(), level.wait_p95(Priority.BULK)) == (3.0, None)
    limiter.close("a", "op", limit, 30.0)
    closed = limiter.levels({("a", "op"): limit})[("a", "op")].closed_until
    assert 10 < (closed - datetime.now(UTC)).total_seconds() <= 30.5
