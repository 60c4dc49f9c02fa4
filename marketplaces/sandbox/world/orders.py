"""Orders over months: weekday and season, one to four lines, partial shipments, cancellations and late refunds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from . import otto
from .buyers import make_buyer
from .model import Line, Order, Product, Refund
from .places import ACCOUNTS, Account

_WEEKDAYS = (1.10, 1.0, 0.97, 0.95, 0.92, 1.02, 1.25)
_HOURS = (2, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 7, 6, 6, 6, 6, 7, 8, 10, 11, 10, 7, 4)
_LINES = ((1, 2, 3, 4), (70, 20, 7, 3))
_QUANTITIES = ((1, 2, 3, 4), (78, 15, 5, 2))
_HORIZON = timedelta(days=14)
_FEW_REFUNDS = 20
# The tools rate of amazon.de changes at this midnight: no sale so near to it that its calendar day depends on a zone.
_RATE_CHANGE = (datetime(2026, 9, 30, 20, tzinfo=UTC), datetime(2026, 10, 1, 4, tzinfo=UTC))


@dataclass(frozen=True)
class _Pool:
    """Articles that can share one order, with their popularity."""

    products: list[Product]
    weights: list[float]


def make_orders(
    seed: int, account: Account, products: list[Product], now: datetime, days: int, count: int
) -> list[Order]:
    """`count` orders of the account in the days before now and as many per day in the fortnight after it."""
    past = Random(f"{seed}:{account.code}:orders")
    coming = Random(f"{seed}:{account.code}:coming")
    pools = _pools(account, products)
    share = max(1, count * _HORIZON.days // days)
    moments = [(past, t) for t in _moments(past, now - timedelta(days=days), days, count)]
    moments += [(coming, t) for t in _moments(coming, now, _HORIZON.days, share)]
    orders = [_order(rng, account, pools, at, index) for index, (rng, at) in enumerate(moments)]
    _enough_refunds(Random(f"{seed}:{account.code}:refunds"), orders, now)
    for order in orders:
        order.note_changes()
    return orders


def _moments(rng: Random, start: datetime, days: int, count: int) -> Iterator[datetime]:
    midnights = [start + timedelta(days=n) for n in range(days)]
    weights = [_WEEKDAYS[day.weekday()] * _season(day) for day in midnights]
    drawn = []
    for midnight in rng.choices(midnights, weights, k=count):
        hour = rng.choices(range(24), _HOURS)[0]
        at = midnight + timedelta(hours=hour, seconds=rng.randrange(3600))
        if _RATE_CHANGE[0] <= at < _RATE_CHANGE[1] and start < _RATE_CHANGE[0] - timedelta(days=1):
            at -= timedelta(hours=9)
        drawn.append(at)
    return iter(sorted(drawn))


def _season(day: datetime) -> float:
    """Before Christmas people buy more, in late November most."""
    if day.month == 11 and day.day >= 20:
        return 1.5
    return {11: 1.2, 12: 1.35, 1: 0.85, 7: 0.9, 8: 0.9}.get(day.month, 1.0)


def _pools(account: Account, products: list[Product]) -> dict[tuple[str, bool], _Pool]:
    pools = {}
    for site, _ in account.sites:
        for is_fba in (True, False):
            chosen = [
                p for p in products if site in p.prices and (p.is_fba == is_fba or account.marketplace != "amazon")
            ]
            if chosen:
                pools[site, is_fba] = _Pool(chosen, list(accumulate(1 / (n + 8) for n in range(len(chosen)))))
    return pools


def _order(rng: Random, account: Account, pools: dict[tuple[str, bool], _Pool], at: datetime, index: int) -> Order:
    site = rng.choices([s for s, _ in account.sites], [w for _, w in account.sites])[0]
    is_fba = account.marketplace == "amazon" and rng.random() < 0.6
    pool = pools.get((site, is_fba)) or pools[site, not is_fba]
    is_fba = account.marketplace == "amazon" and pool.products[0].is_fba
    count = rng.choices(*_LINES)[0]
    picked = {p.sku: p for p in rng.choices(pool.products, cum_weights=pool.weights, k=count)}
    ref = _order_ref(rng, account, index)
    order = Order(
        ref=ref,
        account=account.code,
        site=site,
        created_at=at,
        confirmed_at=at + timedelta(minutes=rng.randrange(10, 90)),
        fulfilled_by="AMAZON" if is_fba else "MERCHANT",
        buyer=make_buyer(rng, site, ref),
        lines=[_line(rng, account, site, ref, n, product) for n, product in enumerate(picked.values(), 1)],
    )
    if account.marketplace == "otto":
        order.lines = list(otto.pieces(rng, order.lines))
    _shipping(rng, order, is_fba)
    _life(rng, order, is_fba)
    return order


def _order_ref(rng: Random, account: Account, index: int) -> str:
    """The running number in the middle keeps references apart."""
    if account.marketplace == "bunnings":
        return f"W{10_000_000 + index * 7 + rng.randrange(7)}-A"
    if account.marketplace == "otto":
        return otto.new_id(rng)
    head = rng.randrange(302, 307) if account.region == "eu" else rng.randrange(111, 115)
    return f"{head}-{1_000_000 + index * 83 + rng.randrange(83):07d}-{rng.randrange(10**7):07d}"


def _line(rng: Random, account: Account, site: str, order_ref: str, number: int, product: Product) -> Line:
    unit = product.prices[site]
    quantity = 1 if unit <= 1000 else rng.choices(*_QUANTITIES)[0]
    line = Line(
        ref=f"{order_ref}-{number}" if account.marketplace == "bunnings" else str(rng.randrange(10**13, 10**14)),
        product=product,
        quantity=quantity,
        unit_cents=unit,
    )
    if account.marketplace == "amazon" and product.category != "beauty" and rng.random() < 0.07:
        line.discount_cents = line.price_cents * rng.randrange(5, 16) // 100
    return line


def _shipping(rng: Random, order: Order, is_fba: bool) -> None:
    """Only what the seller ships himself has a shipping price, on the first line."""
    if is_fba or rng.random() < 0.5 or any(line.product.category == "beauty" for line in order.lines):
        return
    order.lines[0].shipping_cents = {"amazon.com": 599, "bunnings.com.au": 990}.get(order.site, 490)


def _life(rng: Random, order: Order, is_fba: bool) -> None:
    fate = rng.random()
    if fate < 0.025:
        order.cancelled_at = _whole(order.created_at + timedelta(hours=rng.uniform(1.6, 30)))
        order.refused = order.account == "bunnings-au" and fate < 0.01
        for line in order.lines:
            line.cancelled_at = order.cancelled_at
        return
    first = _whole(order.confirmed_at + timedelta(hours=rng.uniform(5, 28) if is_fba else rng.uniform(10, 60)))
    second = first + timedelta(hours=rng.uniform(20, 70))
    splits = len(order.lines) > 1 and rng.random() < 0.12
    drops = len(order.lines) > 1 and rng.random() < 0.04
    days = rng.uniform(8, 14) if rng.random() < 0.02 else rng.uniform(1, 5)
    for number, line in enumerate(order.lines):
        if drops and number == len(order.lines) - 1:
            line.cancelled_at = first - timedelta(hours=2)
            continue
        line.package = 2 if splits and number else 1
        line.shipped_at = _whole(first if line.package == 1 else second)
        line.delivered_at = _whole(line.shipped_at + timedelta(days=days))
        if rng.random() < 0.06:
            _refund(rng, line, _whole(line.delivered_at + timedelta(days=rng.uniform(10, 40))))
    if order.account == "bunnings-au":
        order.closed_at = max(line.delivered_at for line in order.lines if line.delivered_at) + timedelta(days=14)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _refund(rng: Random, line: Line, at: datetime) -> None:
    partial = line.quantity > 1 and rng.random() < 0.5
    line.refund = Refund(
        ref=str(rng.randrange(10**7, 10**8)),
        at=at,
        quantity=rng.randrange(1, line.quantity) if partial else line.quantity,
    )


def _enough_refunds(rng: Random, orders: list[Order], now: datetime) -> None:
    """A small world still needs refunds that are old enough to stand in a statement by now."""
    settled = [line for line in _delivered(orders) if line.refund and line.refund.at < now - timedelta(days=18)]
    free = [
        line
        for line in _delivered(orders)
        if line.refund is None and line.delivered_at and line.delivered_at < now - timedelta(days=29)
    ]
    rng.shuffle(free)
    # Lines delivered more than 40 days ago are kept for payments that never come.
    free.sort(key=lambda line: bool(line.delivered_at and line.delivered_at < now - timedelta(days=41)))
    for line in free[: max(0, _FEW_REFUNDS * _share(orders) // 10 - len(settled))]:
        if line.delivered_at:
            _refund(rng, line, line.delivered_at + timedelta(days=rng.uniform(10, 11)))


def _share(orders: list[Order]) -> int:
    """Tenths of the minimum an account needs: the two Amazon accounts are looked at together."""
    marketplace = ACCOUNTS[orders[0].account].marketplace
    return 10 if marketplace == "bunnings" else 7


def _delivered(orders: Iterable[Order]) -> Iterator[Line]:
    return (line for order in orders for line in order.lines if line.delivered_at)
