"""The gap scan: names what is missing of each stream and lets it be read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.selectors import gaps as missing
from marketplaces.selectors.gaps import DayGap, OrderGap, Span
from marketplaces.services import days, streams
from marketplaces.services.claims import Busy, claim


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGaps:
    """What is missing of one stream; empty when nothing is."""

    account: str
    flow: str
    spans: list[Span] = field(default_factory=list)
    days: list[DayGap] = field(default_factory=list)
    orders: list[OrderGap] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.spans or self.days or self.orders)


def scan(accounts: Iterable[Account], *, now: datetime) -> list[StreamGaps]:
    """Name the gaps of the accounts' streams; days that lost rows count as unread from now on, so the next pull asks.

    The time since the newest reading is no gap. Streams that are being read just now are left for the next scan.
    """
    found = []
    for account in accounts:
        for stream in streams.ensure(account):
            flow = connectors[account.channel].flows[stream.flow]
            if flow.snapshot:
                continue
            span = missing.horizon(account, flow, now=now)
            spans = [gap for gap in missing.uncovered(stream, span) if gap[1] < span.until]
            short: list[DayGap] = []
            try:
                with claim(stream, now=now) as held:
                    short = days.reopen(stream, held, until=span.until)
            except Busy:
                short = missing.short_days(stream)
            orders = missing.unknown_orders(account) if stream.flow == "orders" else []
            gaps = StreamGaps(account=account.code, flow=stream.flow, spans=spans, days=short, orders=orders)
            if gaps:
                found.append(gaps)
    return found
