"""Mistakes planted into the marketplaces' books, never two on one order line, each written down as truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from .amazon_money import book
from .model import Entry, Row, Statement, World
from .places import ACCOUNTS, half_up

PLANS = ("payment", "none")
_LONG_AGO = timedelta(days=40)
# Amazon shows statements for 90 days: nothing is planted where nobody can look.
_SHOWN = timedelta(days=88)
_UNHEARD_OF = (
    "Pallet Rewrap Levy",
    "Quiet Hours Handling",
    "Seasonal Shelf Share",
    "Label Reprint Service",
    "Parcel Compaction Charge",
    "Storefront Placement Fee",
)

Plant = Callable[[Random, Entry], int]


class Planter:
    """Plants one marketplace's faults; `amazon` means both of its accounts together."""

    def __init__(self, world: World, marketplace: str, count: int) -> None:
        self.world = world
        self.marketplace = marketplace
        self.count = count
        self.rng = Random(f"{world.seed}:{marketplace}:faults")
        self.used: set[str] = set()
        self.accounts = [a for a in ACCOUNTS.values() if a.marketplace == marketplace]
        self.statements = {s.ref: s for a in self.accounts for s in world.statements[a.code]}

    def plant(self) -> None:
        """All kinds, the ones with the fewest possible places first."""
        self._on_lines("payment_missing", self._old_sales(), _withhold)
        self._on_lines("refund_fee_wrong", self._entries("refund"), _keep_too_much)
        self._on_lines("charged_twice", self._entries("sale"), _charge_twice)
        self._on_lines("fee_overcharged", self._entries("sale"), _overcharge)
        self._on_lines("tax_one_cent", self._entries("sale"), _one_cent, expected="tolerated")
        on_lines = self._on_lines(
            "unknown_kind", self._entries("sale"), self._unheard_of, count=self.count - self.count // 4
        )
        self._on_accounts(self.count - on_lines)
        self._headers()

    def _entries(self, event: str) -> list[Entry]:
        """Entries in statements seen by now, of articles we know, on lines without another event or fault."""
        return [
            entry
            for statement in self.statements.values()
            if self._is_shown(statement) and not statement.is_withheld
            for entry in statement.entries
            if entry.event == event and entry.line and entry.line.product.mapped
            if (event == "refund") == bool(entry.refund) and (event == "refund" or not entry.line.refund)
        ]

    def _is_shown(self, statement: Statement) -> bool:
        return self.world.now - _SHOWN <= statement.issued_at <= self.world.now

    def _old_sales(self) -> list[Entry]:
        overdue = timedelta(days=5 + max(account.overdue_days for account in self.accounts))
        limit = self.world.now - max(_LONG_AGO, overdue) - timedelta(hours=6)
        return [e for e in self._entries("sale") if e.line and e.line.delivered_at and e.line.delivered_at < limit]

    def _on_lines(
        self, fault: str, entries: Iterable[Entry], plant: Plant, *, count: int = 0, expected: str = "open"
    ) -> int:
        """Plant on so many lines; fewer, where there are fewer lines. Returns how many."""
        free = [e for e in entries if e.line and e.line.ref not in self.used]
        self.rng.shuffle(free)
        done = 0
        for entry in free:
            if done == (count or self.count):
                break
            amount = plant(self.rng, entry)
            if entry.line and amount:
                self.used.add(entry.line.ref)
                self._note(fault, entry, amount, expected)
                done += 1
        return done

    def _unheard_of(self, rng: Random, entry: Entry) -> int:
        name = rng.choice(_UNHEARD_OF)
        cents = -rng.randrange(35, 640)
        words = {
            "amazon": ("Order", "ItemFees", name.title().replace(" ", "")),
            "otto": ("SALE", name.upper().replace(" ", "_")),
        }
        entry.rows.append(Row(words.get(self.marketplace, (name.upper().replace(" ", "_"),)), cents))
        return cents

    def _on_accounts(self, count: int) -> None:
        """Rows of the account itself in words nobody has met: each once a statement, as one word is one finding."""
        places = [(statement, name) for statement in self._seen() for name in _UNHEARD_OF]
        for statement, name in self.rng.sample(places, min(count, len(places))):
            cents = -self.rng.randrange(900, 9000)
            words = self._account_words(name)
            entry = book(statement, statement.end - timedelta(hours=self.rng.randrange(2, 60)), words, cents)
            self._note("unknown_kind", entry, cents, "open")

    def _account_words(self, name: str) -> tuple[str, ...]:
        upper = name.upper().replace(" ", "_")
        if self.marketplace == "bunnings":
            return (f"{upper}_ACCOUNT",)
        phase = self.rng.randrange(2, 9)
        if self.marketplace == "otto":
            return ("ACCOUNT", f"{upper}_{phase}")
        return ("other-transaction", "other-transaction", f"{name} Phase {phase}")

    def _seen(self) -> list[Statement]:
        return [
            s
            for s in self.statements.values()
            if self._is_shown(s) and not s.is_withheld and not s.corrected_at and s.entries
        ]

    def _headers(self) -> None:
        seen = self._seen()
        for statement in self.rng.sample(seen, min(self.count, len(seen))):
            statement.header_delta = self.rng.choice((-1, 1)) * self.rng.randrange(50, 3000)
            self._note_row("header_mismatch", statement, statement.header_delta, "open", {}, statement.issued_at)

    def _note(self, fault: str, entry: Entry, amount: int, expected: str) -> None:
        refs = {}
        if entry.order and entry.line:
            refs = {"order": entry.order.ref, "line": entry.line.ref, "sku": entry.line.product.sku}
        statement = self.statements[entry.statement]
        visible = statement.issued_at
        if entry.absent and entry.line and entry.line.delivered_at:
            overdue = ACCOUNTS[statement.account].overdue_days
            visible = entry.line.delivered_at + timedelta(days=overdue)
        self._note_row(fault, statement, amount, expected, refs, visible)

    def _note_row(
        self, fault: str, statement: Statement, amount: int, expected: str, refs: dict[str, str], visible: datetime
    ) -> None:
        account = ACCOUNTS[statement.account]
        settlement = None if fault == "payment_missing" else statement.ref
        self.world.truth.append(
            {
                "type": "payment_discrepancy",
                "fault": fault,
                "marketplace": self.marketplace,
                "account_ref": account.external_id,
                "refs": {"order": None, "line": None, "sku": None, **refs, "settlement": settlement},
                "amount": f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}",
                "currency": statement.currency,
                "expected": expected,
                "visible_from": visible.isoformat().replace("+00:00", "Z"),
            }
        )


def _fee_index(entry: Entry) -> int:
    """Where the commission stands among the rows."""
    return next(i for i, row in enumerate(entry.rows) if row.words[-1].upper() in _COMMISSION)


_COMMISSION = {"COMMISSION", "COMMISSION_FEE", "REFUND_COMMISSION_FEE"}


def _withhold(rng: Random, entry: Entry) -> int:
    """Nothing of the sale is ever booked."""
    amount = -entry.total
    entry.absent = True
    return amount


def _overcharge(rng: Random, entry: Entry) -> int:
    """The commission is higher than the schedule says, by no common rate."""
    index = _fee_index(entry)
    row = entry.rows[index]
    extra = 35 + half_up(-row.cents * rng.randrange(40, 450), 1000) + rng.randrange(60)
    entry.rows[index] = row._replace(cents=row.cents - extra)
    return -extra


def _charge_twice(rng: Random, entry: Entry) -> int:
    """One fee row stands there again."""
    fees = [
        i
        for i, row in enumerate(entry.rows)
        if row.words[-1].upper() in _COMMISSION or row.words[-1].startswith("FBAPerUnit")
    ]
    row = entry.rows[rng.choice(fees)]
    entry.rows.append(row)
    return row.cents


def _keep_too_much(rng: Random, entry: Entry) -> int:
    """Part of the commission of a refund is not given back."""
    index = _fee_index(entry)
    row = entry.rows[index]
    if row.cents < 80:
        return 0
    missing = max(40, row.cents * rng.randrange(25, 95) // 100)
    kept = next((i for i, r in enumerate(entry.rows) if r.words[-1] == "RefundCommission"), None)
    if kept is not None and rng.random() < 0.4:
        entry.rows[kept] = entry.rows[kept]._replace(cents=entry.rows[kept].cents - missing)
    else:
        entry.rows[index] = row._replace(cents=row.cents - missing)
    return -missing


def _one_cent(rng: Random, entry: Entry) -> int:
    """The tax row is a cent off, as rounding per unit instead of per line would have it."""
    index = next((i for i, row in enumerate(entry.rows) if row.words[-1] in {"Tax", "COMMISSION_VAT"}), None)
    if index is None or not entry.rows[index].cents:
        return 0
    cent = rng.choice((-1, 1))
    entry.rows[index] = entry.rows[index]._replace(cents=entry.rows[index].cents + cent)
    return cent


def plant_faults(world: World) -> None:
    """Plant the world's plan; `none` plants nothing."""
    if world.faults not in PLANS:
        raise ValueError(f"unknown fault plan {world.faults!r}; there are {', '.join(PLANS)}")
    if world.faults == "payment":
        count = 10 if world.order_count < 1000 else 14
        for marketplace in ("amazon", "bunnings", "otto"):
            Planter(world, marketplace, count).plant()


def note_unknown_articles(world: World) -> None:
    """Every offer that sold but that no product master knows."""
    first: dict[tuple[str, str], datetime] = {}
    sold = ((code, order) for code, orders in world.orders.items() for order in orders)
    for code, order in sold:
        for line in order.lines:
            if not line.product.mapped:
                first.setdefault((code, line.product.sku), order.created_at)
    for (code, sku), at in first.items():
        account = ACCOUNTS[code]
        row: dict[str, Any] = {
            "type": "missing_product_data",
            "fault": "missing_product_data",
            "marketplace": account.marketplace,
            "account_ref": account.external_id,
            "refs": {"order": None, "line": None, "settlement": None, "sku": sku},
            "amount": None,
            "currency": account.currency,
            "expected": "open",
            "visible_from": at.isoformat().replace("+00:00", "Z"),
        }
        world.truth.append(row)
