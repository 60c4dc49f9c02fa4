"""Settlements whose lines come by the transaction log: booked once the log has told the whole of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from domventas.core import tenancy
from finance.models import Settlement
from finance.services import settlement_sql as sql
from finance.services import settlement_stage as stages
from finance.services.fee_kinds import KindBook
from finance.services.settlements import Ingested, SettlementRefused, book
from marketplaces.models import Account, Stream
from marketplaces.records import FeeKind

log = logging.getLogger(__name__)

#: How long after a period's end a log may still add lines to it before a missing cent counts as a difference.
SETTLING: Final = timedelta(days=1)


def materialize(account: Account, *, refs: Iterable[str] = (), now: datetime) -> list[Ingested]:
    """Book the waiting settlements of an account, and those named in `refs`, from the transactions that name them.

    A waiting one is booked when its transactions add up to its header, or when the log has been read beyond the end of
    its period; one without any transaction goes on waiting, because nothing has been stated that could be wrong, unless
    it is about nothing itself: a period of 0.00 in which nothing happened is whole. A booked one whose transactions
    have all moved elsewhere has none of them any more.
    Raises: SettlementRefused: transactions in another currency than the settlement's.
    """
    with transaction.atomic():
        facts, payouts = _logged(account, list(refs))
        if not facts:
            return []
        read_until = _read_until(account)
        waiting = Settlement.objects.select_for_update().filter(pk__in=facts)
        results = []
        for settlement in waiting.order_by("pk"):
            count, total = facts[settlement.pk]
            if not (count or settlement.digest or _is_about_nothing(settlement, read_until)):
                continue
            if not settlement.digest and not _is_told(settlement, total, read_until):
                continue
            with stages.from_log(account, settlement.settlement_ref, payouts) as stage:
                results.append(book(stage, account, settlement, raw_id=settlement.raw_id, now=now))
        return [result for result in results if result.changed]


def materialize_waiting(*, now: datetime) -> None:
    """Book what the acting client's logs have completed since their last page: an empty page may be the last word."""
    waiting = Settlement.objects.filter(status=Settlement.Status.WAITING).values_list("account", flat=True)
    for account in Account.objects.filter(pk__in=waiting.distinct()):
        try:
            materialize(account, now=now)
        except SettlementRefused as error:
            log.warning("%s: %s", account.code, error.message)


def _logged(account: Account, refs: list[str]) -> tuple[dict[int, tuple[int, Decimal]], list[str]]:
    """Transactions and their sum by settlement, and the raw types that are payouts and so stand in no settlement."""
    params: dict[str, Any] = {"client": tenancy.current().one, "account": account.pk, "refs": refs}
    with connection.cursor() as cursor:
        cursor.execute(sql.LOG_TYPES, params)
        raw_types = [row[0] for row in cursor.fetchall()]
        payouts = KindBook.of_channel(account.channel).of_kind(raw_types, FeeKind.PAYOUT) if raw_types else []
        cursor.execute(sql.LOGGED, {**params, "payout_types": payouts})
        return {pk: (count, total) for pk, count, total in cursor.fetchall()}, payouts


def _read_until(account: Account) -> datetime | None:
    stream = Stream.objects.filter(account=account, flow="transactions").only("complete_until").first()
    return stream.complete_until if stream else None


def _is_told(settlement: Settlement, total: Decimal, read_until: datetime | None) -> bool:
    """Whether the log has said all it will say about a settlement."""
    return total == settlement.header_total or _is_read_beyond(settlement, read_until)


def _is_about_nothing(settlement: Settlement, read_until: datetime | None) -> bool:
    """Whether a settlement states that nothing is paid, and the log has nothing for it and never will."""
    return settlement.header_total == 0 and not settlement.digest and _is_read_beyond(settlement, read_until)


def _is_read_beyond(settlement: Settlement, read_until: datetime | None) -> bool:
    """Whether the log has been read to where it adds nothing to a settlement any more."""
    if settlement.period_end is None or read_until is None:
        return False
    return read_until >= settlement.period_end + SETTLING
