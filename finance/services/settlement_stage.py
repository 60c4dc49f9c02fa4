"""Where the lines of one settlement wait while they are counted, named and compared with what is already booked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection

from domventas.core import bulk, partitions, tenancy
from domventas.core.money import minor_unit
from finance.models import Settlement, SettlementLine
from finance.services import settlement_sql as sql
from finance.services.fee_kinds import KindBook, Meaning
from finance.services.statistics import AS_EVER, LOOK_UP
from marketplaces.models import Account, AccountSite
from marketplaces.records import FeeKind, MoneyEvent, SettlementLineRecord
from orders.models import Order, OrderLine

#: How the line we make ourselves is called where the marketplace's own words stand otherwise.
UNEXPLAINED_TYPE = "header difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What the staged lines amount to, and what their words mean."""

    count: int
    total: Decimal
    meanings: Mapping[str, Meaning]
    by_kind: Mapping[str, Decimal]
    unknown: Mapping[str, int]
    foreign: tuple[int, str] | None
    fingerprint: str

    def digest(self, header_total: Decimal | None) -> str:
        """The same for the same lines under the same header, in whatever order they come."""
        header = "" if header_total is None else f"{header_total.normalize():f}"
        return hashlib.sha256(f"{self.fingerprint}|{header}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Written:
    """How many lines were added and how many booked back."""

    appended: int
    reversed: int


@contextmanager
def from_records(lines: Iterable[SettlementLineRecord], currency: str) -> Iterator[str]:
    """Stage lines as they stream in; a line without a currency of its own has the settlement's. Yields the stage."""
    with bulk.copy_stage("settlement", sql.STAGE, _rows(lines, currency), count=sql.JOINED) as stage:
        yield stage


@contextmanager
def from_log(account: Account, settlement_ref: str, payout_types: Sequence[str]) -> Iterator[str]:
    """Stage a settlement's lines from the transactions that name it. Yields the stage."""
    with bulk.copy_stage("settlement", sql.STAGE, (), count=()) as stage, connection.cursor() as cursor:
        cursor.execute(
            sql.on(stage, sql.FROM_LOG),
            {
                "client": tenancy.current().one,
                "account": account.pk,
                "settlement_ref": settlement_ref,
                "payout_types": list(payout_types),
            },
        )
        cursor.execute(f"ANALYZE {stage}")
        yield stage


def _rows(lines: Iterable[SettlementLineRecord], currency: str) -> Iterator[tuple[Any, ...]]:
    """Rows of the stage; equal lines are told apart by counting them."""
    met, repeated = set[bytes](), dict[bytes, int]()
    for line in lines:
        if not isinstance(line.amount, Decimal):
            raise TypeError(f"row {line.ordinal}: an amount is a Decimal, not {type(line.amount).__name__}")
        key, nth = line.line_ref or "", 1
        # Lines without an id are known by their content, which "#" marks.
        content = hashlib.sha256(key.encode() or line.raw_key.encode())
        if (known := content.digest()[:16]) in met:
            nth = repeated[known] = repeated.get(known, 1) + 1
        met.add(known)
        yield (
            key or "#" + content.hexdigest(),
            nth,
            line.ordinal,
            line.raw_type,
            line.amount,
            line.currency or currency,
            _told(line.posted_at),
            line.order_ref or "",
            line.order_line_ref or "",
            line.refund_ref or "",
            line.seller_sku or "",
            line.site or "",
            line.quantity,
            line.description,
        )


@lru_cache(maxsize=1024)  # lines of one order stand together, and a text is the quicker to hand over
def _told(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def summarize(stage: str, account: Account, currency: str) -> Staged:
    """Count and sum the stage by raw type and look up what the types mean; two or three statements."""
    with connection.cursor() as cursor:
        cursor.execute(sql.on(stage, sql.SUMMARY))
        rows = cursor.fetchall()
        foreign = None
        if any(low != currency or high != currency for _type, _n, _sum, low, high, _a, _b in rows):
            cursor.execute(sql.on(stage, sql.FOREIGN_CURRENCY), {"currency": currency})
            foreign = cursor.fetchone()
    book = KindBook.of_channel(account.channel)
    meanings = {raw_type: book.meaning(raw_type) for raw_type, *_ in rows}
    by_kind: dict[str, Decimal] = {}
    for raw_type, _count, amount, *_ in rows:
        kind = meanings[raw_type].kind.value
        by_kind[kind] = by_kind.get(kind, Decimal(0)) + amount
    count = sum(row[1] for row in rows)
    hashes = (sum(int(row[5]) for row in rows), sum(int(row[6]) for row in rows))
    return Staged(
        count=count,
        total=sum((row[2] for row in rows), Decimal(0)),
        meanings=meanings,
        by_kind=dict(sorted(by_kind.items())),
        unknown={row[0]: row[1] for row in rows if meanings[row[0]].kind is FeeKind.UNKNOWN},
        foreign=foreign,
        fingerprint=f"{count}|{hashes[0]}|{hashes[1]}",
    )


def add_unexplained(stage: str, currency: str, difference: Decimal, *, after: int) -> None:
    """Stage the line that makes up for what the header says beyond its lines."""
    row = (f"unexplained:{difference.normalize():f}", after + 1, UNEXPLAINED_TYPE, difference, currency)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {stage} (key, nth, ordinal, raw_type, amount, currency, order_ref, order_line_ref,"
            " refund_ref, seller_sku, said_site, description) VALUES (%s, 1, %s, %s, %s, %s, '', '', '', '', '', '')",
            row,
        )


def write(
    stage: str,
    account: Account,
    settlement: Settlement,
    staged: Staged,
    *,
    revision: int,
    raw_id: int | None,
    now: datetime,
) -> Written:
    """Reverse what is no longer said, append what is new; one or two statements whatever the number of lines."""
    meanings = {**staged.meanings, UNEXPLAINED_TYPE: Meaning(MoneyEvent.ACCOUNT, FeeKind.UNEXPLAINED)}
    said, codes, zones, only = _sites(account)
    params: dict[str, Any] = {
        "client": tenancy.current().one,
        "account": account.pk,
        "settlement": settlement.pk,
        "settlement_ref": settlement.settlement_ref,
        "revision": revision,
        "raw_id": raw_id,
        "today": now.date(),
        "digits": minor_unit(settlement.currency),
        "raw_types": list(meanings),
        "events": [meaning.event and meaning.event.value for meaning in meanings.values()],
        "kinds": [meaning.kind.value for meaning in meanings.values()],
        "classes": [meaning.money_class.value for meaning in meanings.values()],
        "said": said,
        "codes": codes,
        "zones": zones,
        "only_site": only,
    }
    partitions.count_if_grown(Order, OrderLine, SettlementLine)
    with connection.cursor() as cursor:
        gone = 0
        if settlement.digest:
            cursor.execute(sql.on(stage, sql.REVERSE), params)
            gone = cursor.rowcount
        cursor.execute(LOOK_UP)
        cursor.execute(sql.on(stage, sql.APPEND), params)
        added = cursor.rowcount
        cursor.execute(AS_EVER)
        return Written(added, gone)


def _sites(account: Account) -> tuple[list[str], list[str], list[str], str]:
    """Every name a line may use for a site of the channel, and the site of an account that has only one."""
    names: dict[str, tuple[str, str]] = {}
    for site in account.channel_sites.values():
        says = (site.external_id, site.label, site.code)
        names.update((name.lower(), (site.code, site.zone)) for name in says if name)
    own = AccountSite.objects.filter(account=account, is_enabled=True).values_list("site__code", flat=True)[:2]
    codes = list(own)
    return (
        list(names),
        [code for code, _zone in names.values()],
        [zone for _code, zone in names.values()],
        codes[0] if len(codes) == 1 else "",
    )
