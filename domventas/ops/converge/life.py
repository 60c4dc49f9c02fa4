"""What a worker of the proof does in one life, and the world it does it in."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import redis
import requests
from django.conf import settings
from django.db import connection, models
from django.db.models.functions import TruncDate

from domventas.core import tenancy
from domventas.core.dump import canonical_dump
from domventas.core.models import Client
from domventas.ops.demo.life import Sandbox, furnish
from finance.models import Payout, Settlement, Transaction
from finance.services.reconcile import reconcile
from marketplaces.models import Account
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import accounts, flows_of, sync
from orders.models import Order

NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
#: The present stands here first, then there.
MOMENTS: Final = (NOW - timedelta(days=5), NOW)
DAYS: Final = 40
#: The calm comes an hour later: what was seen last under fire must not be newer than what is seen then.
END: Final = NOW + timedelta(hours=1)
#: The smallest world in which every marketplace has orders, settlements and payouts.
WORLD: Final = {"days": DAYS, "skus": 24, "orders": 120, "speed": 1e6, "now": NOW.isoformat(), "faults": "payment"}
#: Readings of all flows in one life; under faults one rarely suffices.
PASSES: Final = 8
#: Waiting is cut short: the sandbox's budgets are wide, and its reports take less than a second.
LONGEST_SLEEP: Final = 0.05

#: What may be lost of a flow: the rows of one day. Flow → rows and the moment they count under.
DAYS_OF: Final[dict[str, tuple[type[models.Model], str]]] = {
    "orders": (Order, "ordered_on"),
    "settlements": (Settlement, "period_end"),
    "transactions": (Transaction, "posted_at"),
    "payouts": (Payout, "paid_on"),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run takes place: whose rows, and the sandbox it reads."""

    client: int
    sandbox: str

    def furnish(self) -> None:
        """The client with its products, costs and accounts, as people enter them before the first reading."""
        settings.SANDBOX_URL = self.sandbox
        client = Client.objects.create(pk=self.client, slug="converge", name="Converge")
        sync_sites()
        furnish(client, Sandbox(url=self.sandbox), now=NOW)
        with tenancy.acting_for(client, actor="converge"):
            Account.objects.update(cutover_on=(NOW - timedelta(days=DAYS + 5)).date())

    def work(self, now: datetime) -> None:
        """Read every flow until nothing waits or fails any more, at most `PASSES` times; then reconcile."""
        if problems := self.read(now):
            print("not finished:", problems)  # noqa: T201  # into the log of the lane
        with tenancy.acting_for(self.client, actor="converge"):
            reconcile(now=now)

    def read(self, now: datetime) -> dict[tuple[str, str], str]:
        """Read all flows, then again those that did not come to their end; returns what those met last."""
        settings.SANDBOX_URL = self.sandbox
        problems: dict[tuple[str, str], str] = {}
        with tenancy.acting_for(self.client, actor="converge"):
            wanted = [(account, flow) for account in accounts() for flow in flows_of(account)]
            for _ in range(PASSES):
                done = [x.pulled for account, flow in wanted for x in sync([account], now=now, flow=flow, sleep=_doze)]
                problems = {(x.account, x.flow): f"{x.state}: {x.error}" for x in done if x.state != "done"}
                wanted = [(account, flow) for account, flow in wanted if (account.code, flow) in problems]
                if not wanted:
                    break
        return problems

    def finish(self, now: datetime, into: Path) -> None:
        """Everything once more, calmly, and the dump of what stands then. Raises: RuntimeError: a flow does not end."""
        if problems := self.read(now):
            raise RuntimeError(f"the calm catch-up did not come to its end: {problems}")
        client = Client.objects.get(pk=self.client)
        with tenancy.acting_for(client, actor="converge"):
            reconcile(now=now)
        into.write_bytes(pickle.dumps(canonical_dump(client)))

    def lose_a_day(self, rng: Random) -> None:
        """Somebody deletes one day of one flow of one account."""
        with tenancy.acting_for(self.client, actor="converge"):
            account, flow = rng.choice(
                [(account, flow) for account in accounts() for flow in flows_of(account) if flow in DAYS_OF]
            )
            model, moment = DAYS_OF[flow]
            rows = model._default_manager.filter(account=account).annotate(lost_day=TruncDate(moment))
            days: list[date] = sorted({day for day in rows.values_list("lost_day", flat=True) if day is not None})
            if days:
                day = rng.choice(days)
                _delete(rows.filter(lost_day=day))
                print(f"deleted the {flow} of {day} of {account}")  # noqa: T201  # into the log


def _doze(seconds: float) -> None:
    time.sleep(min(seconds, LONGEST_SLEEP))


def _delete(rows: models.QuerySet[Any]) -> None:
    for row in rows:
        if isinstance(row, Settlement):
            row.lines.all().delete()
        row.delete()


def forget_refusals(client: int) -> None:
    """Let calls of a client go out again, whatever was refused before; else whoever comes next would have to wait.

    A breaker is open, and a budget closed for a minute, after a refusal that does not tell the marketplace's own rate.
    """
    if settings.REDIS_URL:
        server: Any = redis.Redis.from_url(settings.REDIS_URL)
        for kept in ("breaker", "bucket"):
            if keys := list(server.scan_iter(f"{kept}:{client}:*")):
                server.delete(*keys)
        server.close()


def steer(url: str, **plan: Any) -> dict[str, Any]:
    """Give the sandbox a fault plan; answers what it had done until then."""
    before: dict[str, Any] = requests.get(f"{url}/__sandbox/faults", timeout=30).json()
    requests.post(f"{url}/__sandbox/faults", json=plan, timeout=30).raise_for_status()
    return before


def counted(work: Callable[[], None]) -> int:
    """How many statements something takes."""
    count = 0

    def counting(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        count += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(counting):
        work()
    return count
