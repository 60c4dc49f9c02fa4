"""Answers that are lost and processes that are killed: nothing ships twice, nothing is forgotten or guessed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request as Ask
from urllib.request import urlopen

import pytest
from django.db import connection

from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.commands import Sent, ShipmentCommand, ShippedLine
from marketplaces.models import Account, OutboxAttempt, OutboxCommand
from marketplaces.port import Door
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.world.model import Order
from marketplaces.services import outbox, push_flows
from marketplaces.services.accounts import create_account
from marketplaces.services.outbox_drain import drain
from marketplaces.services.sites import sync_sites
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.connectors.doors import SECRETS
from marketplaces.tests.parcels import PUSH, START, Clock, Parcels, command, send, serving
from marketplaces.tests.support import Toy

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ("ok", "before", "after", "500", "503", "429", "refuse", "killed before", "killed after")


class Killed(BaseException):
    """The process is gone; no handler of ours runs."""


def mortal(parcels: Parcels) -> Any:
    """Sending that dies before or after the call where the plan says so."""

    def sending(door: Door, told: ShipmentCommand) -> Sent:
        fault = parcels.faults[0] if parcels.faults else "ok"
        if fault == "killed before":
            parcels.faults.pop(0)
            raise Killed
        if fault == "killed after":
            parcels.faults[0] = "ok"
            send(door, told)
            raise Killed
        return send(door, told)

    return sending


@pytest.fixture
def parcels(toy: Toy, settings: Any) -> Iterator[Parcels]:
    with serving(Parcels()) as running:
        connectors["toy"] = replace(connectors["toy"], shipments=replace(PUSH, send=mortal(running)))
        settings.SANDBOX_URL = running.url
        yield running


def play(account: Account, parcels: Parcels, seed: int) -> dict[str, str]:
    """Four parcels through a random run of faults; the state each ends in."""
    rng, clock = Random(seed), Clock()
    flow = push_flows.flow_of(account, "shipments", now=clock())
    push_flows.set_mode(flow, "live", actor="test", now=clock(), why="for this test", early=True)
    parcels.faults = [rng.choice(FAULTS) for _ in range(14)]
    parcels.lag = rng.randrange(3)
    for number in range(4):
        told = command(number, ref=f"{seed}{number}", order_ref=f"S{seed}-{number}")
        outbox.put(account, "shipments", told.ref, told, subject=told.order_ref, now=clock())
    for _ in range(300):
        try:
            drain(account, "shipments", clock=clock)
        except Killed:
            connection.close()
        rows = OutboxCommand.objects.filter(account=account)
        if not rows.filter(state__in=OutboxCommand.OPEN).exists():
            return dict(rows.values_list("subject", "state"))
        clock.forward(minutes=rng.choice((1, 5, 20)))
    raise AssertionError(f"seed {seed} never settles")


@pytest.mark.scenario(
    "A13", "The answer to a command is lost, or its sender dies, at a marketplace where twice is twice"
)
@pytest.mark.parametrize("seeds", [6, pytest.param(60, marks=pytest.mark.fault)])
def test_nothing_ships_twice_however_answers_are_lost(seeds: int, parcels: Parcels, record_fault: Any):
    doubled = lost = wrong = 0
    faults = 0
    for seed in range(seeds):
        states = play(toy_account(f"toy-{seed}"), parcels, seed)
        for order, state in states.items():
            took = parcels.took[order]
            doubled += took > 1
            lost += state == "accepted" and took == 0
            wrong += state == "refused" and took == 1
        assert set(states.values()) <= {"accepted", "refused", "given_up"}
        faults += OutboxAttempt.objects.exclude(outcome__in=["accepted", "absent"]).count()
    record_fault(f"{seeds} random runs of nine kinds of fault over four parcels each", doubled=doubled, lost=lost,
                 told_wrongly=wrong)  # fmt: skip
    assert (doubled, lost, wrong) == (0, 0, 0)
    assert faults > seeds


# ── real processes, killed right after the marketplace has done it ──────────────────────────────────────────────────
NOW = START.replace(hour=0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=3, orders=2500, days=30, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def client(transactional_db: None, sandbox: Sandbox, settings: Any) -> Iterator[Client]:
    settings.SANDBOX_URL = sandbox.url
    sync_sites()
    found = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with tenancy.acting_for(found, actor="test"):
        yield found


def shop(channel: str) -> Account:
    sites = {"amazon": ["amazon.de", "amazon.fr"], "bunnings": ["bunnings.com.au"]}[channel]
    account = create_account(
        channel=channel, code=channel, name=channel, external_id=channel, sites=sites, secrets=SECRETS[channel], now=NOW
    )
    flow = push_flows.flow_of(account, "shipments", now=NOW)
    push_flows.set_mode(flow, "live", actor="test", now=NOW, why="for this test", early=True)
    return account


def waiting(sandbox: Sandbox, channel: str) -> Order:
    """An order with one line that waits for its seller."""
    code = {"amazon": "amazon-eu", "bunnings": "bunnings-au"}[channel]
    return next(
        order
        for order in sandbox.state.world.orders[code]
        if order.confirmed_at <= NOW - timedelta(hours=1) and order.fulfilled_by == "MERCHANT"
        and not order.packages and not order.tracking and not order.cancelled_at
        and not any(x.cancelled_at or (x.shipped_at and x.shipped_at <= NOW) for x in order.lines)
    )  # fmt: skip


def put(account: Account, order: Order) -> OutboxCommand:
    lines = tuple(ShippedLine(line_ref=x.ref, quantity=x.quantity) for x in order.lines)
    carrier = connectors[account.channel].reference("carriers")[0]
    told = ShipmentCommand(
        ref="4712", site=order.site, order_ref=order.ref, lines=lines, carrier=carrier["code"],
        carrier_name=carrier["name"], tracking_number="JD0001", shipped_at=NOW - timedelta(minutes=30),
    )  # fmt: skip
    return outbox.put(account, "shipments", told.ref, told, subject=order.ref, order_key=order.ref, now=NOW)


def stall(sandbox: Sandbox, path: str) -> None:
    """The next such request is carried out and not answered."""
    body = json.dumps({"path": path, "when": "stall", "seconds": 20}).encode()
    urlopen(Ask(f"{sandbox.url}/__sandbox/drops", data=body, method="POST"), timeout=30).close()


def killed_when(account: Account, sandbox: Sandbox, done: Any) -> None:
    """Send in a process of its own, and kill -9 it as soon as the marketplace has done its part."""
    database = connection.settings_dict
    url = f"postgresql://app@/{database['NAME']}?host={database['HOST']}&port={database['PORT']}"
    child = subprocess.Popen(
        [sys.executable, "-m", "marketplaces.tests.drain_process", str(account.client_id), str(account.pk),
         NOW.isoformat()],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url, "SANDBOX_URL": sandbox.url},
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not done():
            assert child.poll() is None, "the process ended by itself"
            assert time.monotonic() < end, "the marketplace was never asked"
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)


@pytest.mark.scenario("A13", "A worker is killed with -9 right after the marketplace has carried out its command")
@pytest.mark.parametrize(("channel", "path"), [("amazon", "shipmentConfirmation"), ("bunnings", "/ship"),
                                               ("bunnings", "/tracking")])  # fmt: skip
def test_a_killed_worker_ships_nothing_twice(
    channel: str, path: str, client: Client, sandbox: Sandbox, record_fault: Any
):
    account, order = shop(channel), waiting(sandbox, channel)
    row = put(account, order)
    stall(sandbox, path)
    killed_when(account, sandbox, lambda: order.tracking if path == "/tracking" else order.packages)
    row.refresh_from_db()
    assert (row.state, OutboxAttempt.objects.get().ended_at) == ("in_flight", None), "written before the call"
    clock = Clock()
    clock.now = NOW
    for _ in range(4):
        drain(account, "shipments", clock=clock)
        clock.forward(minutes=5)
    row.refresh_from_db()
    told = sandbox.state.told
    effective = sum(1 for _account, ref, *_rest in told if ref == order.ref)
    record_fault(f"kill -9 of the sending process at {path.strip('/')}", doubled=effective - 1,
                 lost=int(row.state != "accepted"))  # fmt: skip
    assert (row.state, effective) == ("accepted", 1)
    assert all(line.sent == line.quantity for line in order.lines)
