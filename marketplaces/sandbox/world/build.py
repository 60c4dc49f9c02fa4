"""Builds the whole world from a seed: twelve thousand orders in about a second, so no copy of it is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from . import amazon_money, bunnings_money, otto_money
from .faults import note_unknown_articles, plant_faults
from .model import Entry, Statement, World
from .orders import make_orders
from .places import ACCOUNTS, Account
from .products import make_products

HORIZON_DAYS = 35
_BOOKS: Mapping[str, ModuleType] = {"amazon": amazon_money, "bunnings": bunnings_money, "otto": otto_money}


def build_world(
    *, seed: int, now: datetime, days: int = 100, skus: int = 240, orders: int = 12_000, faults: str
) -> World:
    """The world around `now` (aware UTC); the same arguments give the same world to the byte."""
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    now = now.astimezone(UTC).replace(microsecond=0)
    world = World(
        seed=seed,
        now=now,
        days=days,
        skus=skus,
        order_count=orders,
        faults=faults,
        products=make_products(seed, skus),
        orders={},
        entries={},
        statements={},
        truth=[],
    )
    for account in ACCOUNTS.values():
        _fill(world, account)
    _usual_noise(world)
    plant_faults(world)
    for account in ACCOUNTS.values():
        _close_books(world, account)
    note_unknown_articles(world)
    world.truth.sort(key=lambda row: (row["visible_from"], str(row["refs"]), row["fault"]))
    return world


def _fill(world: World, account: Account) -> None:
    count = max(1, round(world.order_count * account.share))
    orders = make_orders(world.seed, account, world.products, world.now, world.days, count)
    money = _BOOKS[account.marketplace]
    entries = list(money.order_entries(orders))
    world.orders[account.code] = orders
    world.entries[account.code] = entries
    world.statements[account.code] = money.make_statements(
        world.seed, account, entries, world.now, world.days, HORIZON_DAYS
    )


def _usual_noise(world: World) -> None:
    """What happens without anybody's mistake: a file that never comes, one issued again, one odd fee.

    The file that never comes is the latest one, so that no sale in it is overdue yet at `now`.
    """
    for code in ("amazon-us", "bunnings-au", "otto-de"):
        closed = [s for s in world.statements[code] if s.issued_at <= world.now]
        if closed:
            closed[-1].is_withheld = True
    issued = [s for s in world.statements["amazon-eu"] if s.issued_at <= world.now - timedelta(days=5)]
    if len(issued) > 1:
        again, odd = issued[-2], issued[-1]
        again.corrected_at = again.issued_at + timedelta(days=3)
        again.correction = 137
        words = ("other-transaction", "other-transaction", "NonSubscriptionFeeAdj")
        amazon_money.book(odd, odd.end - timedelta(hours=30), words, -5900)


def _close_books(world: World, account: Account) -> None:
    """Unbooked sales leave their statements; reserves follow from what is left."""
    statements: list[Statement] = world.statements[account.code]
    for statement in statements:
        statement.entries = [entry for entry in statement.entries if not entry.absent]
        statement.entries.sort(key=_when)
    world.entries[account.code] = [entry for entry in world.entries[account.code] if not entry.absent]
    if account.marketplace == "amazon":
        amazon_money.add_reserves(statements)


def _when(entry: Entry) -> tuple[datetime, str]:
    return entry.at, entry.ref


def state_dir() -> Path:
    """Where this checkout keeps what it can make again."""
    root = os.environ.get("DOMVENTAS_STATE")
    return Path(root) if root else Path(__file__).resolve().parents[3] / ".domventas"


def world_dir(seed: int, now: datetime) -> Path:
    """The folder of one world, where its truth file lies."""
    return state_dir() / "sandbox" / f"{seed}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def write_atomically(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def summary(world: World) -> dict[str, Any]:
    """Counts per account, for people and for scripts."""
    return {
        code: {
            "orders": len(world.orders[code]),
            "entries": len(world.entries[code]),
            "statements": len(world.statements[code]),
        }
        for code in world.orders
    }
