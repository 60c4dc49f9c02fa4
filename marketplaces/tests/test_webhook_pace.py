"""How long a webhook's sender waits for our answer while everybody is busy: signed messages over real HTTP."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.models import Account, InboundEvent
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services import inlets
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from marketplaces.tests.sending import HEADER, SECRET, message, signature
from orders.models import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
MESSAGES, SENDERS = 400, 4


@pytest.fixture
def shop(settings: Any, transactional_db: None) -> Iterator[tuple[Account, Sandbox]]:
    """Bunnings' shop, whose orders the sandbox shows."""
    with start(seed=7, orders=300, days=20, skus=20, now=NOW, faults="none", speed=1e6) as sandbox:
        settings.SANDBOX_URL = sandbox.url
        sync_sites()
        with tenancy.acting_for(Client.objects.create(slug="dom-ventas", name="Dom Ventas"), actor="test"):
            yield create_account(
                channel="bunnings", code="bunnings-au", name="Bunnings", external_id="2042", sites=["bunnings.com.au"],
                secrets={"api_key": "sandbox-bunnings-key", "shop_id": "2042"}, now=NOW,
            ), sandbox  # fmt: skip


@contextmanager
def child(sandbox: Sandbox, *arguments: str) -> Iterator[None]:
    """A process of ours on the test's database and sandbox."""
    database = connection.settings_dict
    url = f"postgresql://app@/{database['NAME']}?host={database['HOST']}&port={database['PORT']}"
    known = {**os.environ, "DATABASE_URL": url, "SANDBOX_URL": sandbox.url}
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=known)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(line: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, float]:
    """The answer's status, and how long it took [s]."""
    headers = {"Content-Type": "application/json", HEADER: signature(body)}
    begun = time.monotonic()
    line.request("POST", path, body, headers)
    answer = line.getresponse()
    answer.read()
    took = time.monotonic() - begun
    line.close()  # senders do not keep a line open from one event to the next
    return answer.status, took


def answers_at(port: int, path: str) -> bool:
    try:
        return post(http.client.HTTPConnection("127.0.0.1", port, timeout=10), path, b"{}")[0] == 404
    except OSError:
        return False


def wait(reached: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.fault
@pytest.mark.alone
@pytest.mark.scenario("C7", "Some hundred signed webhooks by several senders while a drain fetches what they tell of")
def test_webhooks_are_answered_at_once_while_a_drain_works(shop: tuple[Account, Sandbox], record_fault: Any) -> None:
    account, sandbox = shop
    path = f"/in/{inlets.open_webhook(account, secret=SECRET, now=datetime.now(UTC)).key}"
    refs = [order.ref for order in sandbox.state.world.orders["bunnings-au"] if order.created_at <= NOW]
    port = free_port()
    web = ("-m", "gunicorn", "domventas.wsgi", "--workers", "2", "--threads", "2", "--bind", f"127.0.0.1:{port}",
           "--log-level", "error")  # fmt: skip

    def send(sender: int) -> list[tuple[int, float]]:
        line, pace, found = http.client.HTTPConnection("127.0.0.1", port, timeout=30), random.Random(sender), []
        for number in range(sender, MESSAGES, SENDERS):
            found.append(post(line, path, message(f"e-{number}", refs[number % len(refs)])))
            time.sleep(pace.uniform(0.02, 0.08))  # each sender's own pace: 50 a second is what one address takes
        return found

    with child(sandbox, *web):
        wait(lambda: answers_at(port, "/in/nobody"))
        for _ in range(8):
            answers_at(port, "/in/nobody")  # both workers have answered once
        with child(sandbox, "-m", "marketplaces.tests.event_process", str(account.client_id), str(account.pk)):
            with ThreadPoolExecutor(SENDERS) as senders:
                found = [answer for part in senders.map(send, range(SENDERS)) for answer in part]
            meanwhile = InboundEvent.objects.exclude(state="waiting").count()
            wait(lambda: not InboundEvent.objects.filter(state="waiting").exists())
    times = sorted(took for _, took in found)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    statuses = Counter(status for status, _ in found)
    record_fault(
        f"{MESSAGES} messages by {SENDERS} threads at two web processes, beside a drain that ended {meanwhile} events",
        p50=f"{p50 * 1000:.0f} ms", p99=f"{p99 * 1000:.0f} ms (aim: 100 ms)", slowest=f"{times[-1] * 1000:.0f} ms",
        not_answered_200=MESSAGES - statuses[200], lost=MESSAGES - InboundEvent.objects.count(),
    )  # fmt: skip
    assert statuses == {200: MESSAGES}
    assert InboundEvent.objects.count() == MESSAGES
    assert meanwhile > 0, "the drain has to work while they are sent"
    assert Order.objects.count() == len(set(refs[:MESSAGES]))
