"""Everything now: each flow of each account in turn, in this process; one failing never stops the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connection

from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.services.pull import pull_stream
from marketplaces.services.reader import Pulled

log = logging.getLogger(__name__)

#: What others build on comes first: offers know SKUs, orders know lines, settlements name both.
ORDER: Final = ("offers", "orders", "transactions", "settlements", "payouts")
#: Longest time one stream is waited for when it asks to come back later.
PATIENCE: Final = timedelta(minutes=3)
#: Shortest and longest pause between two looks at a report [s].
LOOKS: Final = (0.2, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """One stream's reading and how long it took [s]."""

    pulled: Pulled
    seconds: float


def accounts(code: str = "") -> list[Account]:
    """The acting client's accounts whose marketplace is installed; all of them, or the one of this code."""
    found = Account.objects.filter(channel__in=list(connectors))
    return list(found.filter(code=code) if code else found)


def flows_of(account: Account, only: str = "") -> list[str]:
    """The flows of an account's marketplace in the order in which they build on each other."""
    have = connectors[account.channel].flows
    rest = [flow for flow in have if flow not in ORDER]
    return [flow for flow in (*ORDER, *rest) if flow in have and only in ("", flow)]


def sync(
    chosen: Iterable[Account],
    *,
    now: datetime,
    flow: str = "",
    since: datetime | None = None,
    patience: timedelta = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    told: Callable[[str], None] = lambda text: None,
) -> Iterator[Synced]:
    """Read every flow of the accounts, yielding each result as it comes.

    A stream that has to wait (for its budget or a report) is waited for, as long as `patience` lasts.
    """
    for account in chosen:
        for name in flows_of(account, flow):
            started = time.monotonic()
            pulled = _patiently(account, name, now=now, since=since, patience=patience, sleep=sleep, told=told)
            yield Synced(pulled=pulled, seconds=time.monotonic() - started)


def _patiently(
    account: Account,
    flow: str,
    *,
    now: datetime,
    since: datetime | None,
    patience: timedelta,
    sleep: Callable[[float], None],
    told: Callable[[str], None],
) -> Pulled:
    def tell(text: str) -> None:
        told(f"{account.code} {flow}: {text}")

    def read(*, again: bool, throttled: bool) -> Pulled:
        # A reading that was throttled plans again; one that waits for reports only looks after them.
        return pull_stream(
            account, flow, now=now, since=None if again else since, start=throttled or not again, hurry=again,
            sleep=sleep, told=tell,
        )  # fmt: skip

    total = Pulled(account=account.code, flow=flow)
    waited, again, throttled = 0.0, False, False
    while True:
        try:
            part = read(again=again, throttled=throttled)
        except (OperationalError, InterfaceError) as error:
            connection.close()  # the next stream gets a new one
            log.warning("%s %s: %s", account.code, flow, error)
            total.state, total.error = "failed", f"The database went away: {error}"[:500]
            return total
        _add(total, part)
        if total.state != "waiting" or total.retry_after is None:
            return total
        throttled = bool(total.error)
        pause = total.retry_after.total_seconds()
        pause = pause if throttled else min(max(pause, LOOKS[0]), LOOKS[0] * 2 if waited < 2 else LOOKS[1])
        if waited + pause > patience.total_seconds():
            return total
        tell(f"waiting {pause:.1f} s")
        sleep(pause)
        waited, again = waited + pause, True


def _add(total: Pulled, part: Pulled) -> None:
    for name in ("pages", "records", "written", "quarantined"):
        setattr(total.tally, name, getattr(total.tally, name) + getattr(part.tally, name))
    total.windows += part.windows
    total.gaps += part.gaps
    total.state, total.error, total.retry_after = part.state, part.error, part.retry_after
