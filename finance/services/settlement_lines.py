"""What becomes of booked lines later: their order arrives, or somebody says what their words mean."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from domventas.core import bulk, partitions, tenancy
from domventas.core.money import minor_unit
from finance.models import SettlementLine
from finance.services import settlement_sql as sql
from finance.services.fee_kinds import KindBook
from marketplaces.models import Account
from marketplaces.records import FeeKind
from orders.models import Order, OrderLine


def resolve_awaiting(account: Account | None = None, *, since: datetime | None = None) -> int:
    """Give awaiting lines the order lines that have come since; they are judged anew. Returns how many were found.

    Lines whose order line was deleted wait again. A handful of statements per account, however many lines wait.

    Args:
        since: look only at lines whose order has changed since then, and at statements that are new; default at all.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.ORPHANED, {"client": tenancy.current().one})
    accounts = [account] if account else list(Account.objects.all())
    return sum(_resolve(each, since) for each in accounts)


def _resolve(account: Account, since: datetime | None) -> int:
    params: dict[str, Any] = {"client": tenancy.current().one, "account": account.pk, "since": since}
    with bulk.copy_stage("waiting", sql.WAITING_STAGE, ()) as stage, connection.cursor() as cursor:
        cursor.execute(sql.on(stage, sql.WAITING_SINCE if since else sql.WAITING), params)
        if not cursor.rowcount:
            return 0
        cursor.execute(sql.on(stage, sql.STAGED_CURRENCIES))
        params |= _digits([row[0] for row in cursor.fetchall()])
        partitions.count_if_grown(Order, OrderLine, SettlementLine)
        # Without counts the planner takes the waiting lines for one and compares each with each.
        cursor.execute(f"ANALYZE {stage}")
        cursor.execute(sql.on(stage, sql.RESOLVE), params)
        return int(cursor.rowcount)


def _digits(currencies: list[str]) -> dict[str, list[Any]]:
    """Currencies and their minor units."""
    return {"currencies": currencies, "minor_units": [minor_unit(currency) for currency in currencies]}


def reclassify(channel: str) -> int:
    """Give lines of unknown kind the meaning that has been mapped since; they are judged anew. Returns how many.

    The money on a line never changes here, only what it is for and which part of it is tax.
    """
    account_ids = list(Account.objects.filter(channel=channel).values_list("pk", flat=True))
    unknown = SettlementLine.objects.filter(account_id__in=account_ids, kind=FeeKind.UNKNOWN.value)
    raw_types = unknown.order_by().values_list("raw_type", flat=True).distinct()
    book = KindBook.of_channel(channel)
    meanings = {raw_type: book.meaning(raw_type) for raw_type in raw_types}
    known = {raw_type: meaning for raw_type, meaning in meanings.items() if meaning.kind is not FeeKind.UNKNOWN}
    if not known:
        return 0
    params: dict[str, Any] = {
        "client": tenancy.current().one,
        "accounts": account_ids,
        "raw_types": list(known),
        "events": [meaning.event and meaning.event.value for meaning in known.values()],
        "kinds": [meaning.kind.value for meaning in known.values()],
        "classes": [meaning.money_class.value for meaning in known.values()],
        **_digits(list(unknown.order_by().values_list("currency", flat=True).distinct())),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.UNSEEN, params)
        cursor.execute(sql.RECLASSIFY, params)
        return int(cursor.rowcount)
