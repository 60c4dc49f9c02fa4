"""What is booked of a settlement: sums by kind, lines of unknown kind, and the proof that lines sum to the header."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from decimal import Decimal

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate

from finance.models import Payout, Settlement, SettlementLine, Transaction
from marketplaces.models import Account
from marketplaces.records import FeeKind


def current_lines(settlement: Settlement) -> QuerySet[SettlementLine]:
    """The lines that still stand: neither reversed by a later revision nor a reversal themselves."""
    return SettlementLine.objects.filter(settlement=settlement, reverses=None, reversed_in=None)


def sums_by_kind(settlement: Settlement) -> Mapping[str, Decimal]:
    """What the settlement holds by kind [its currency]; adds up to its header."""
    rows = current_lines(settlement).order_by("kind").values("kind").annotate(total=Sum("amount"))
    return {row["kind"]: row["total"] for row in rows}


def unknown_kinds(settlement: Settlement) -> Mapping[str, int]:
    """Lines by the marketplace's own words that nobody has given a meaning yet."""
    rows = (
        current_lines(settlement)
        .filter(kind=FeeKind.UNKNOWN.value)
        .order_by("raw_type")
        .values("raw_type")
        .annotate(lines=Count("pk"))
    )
    return {row["raw_type"]: row["lines"] for row in rows}


def is_balanced(settlement: Settlement) -> bool:
    """Whether all lines, of all revisions, add up to the header to the cent; without a stated total, to themselves."""
    total = SettlementLine.objects.filter(settlement=settlement).aggregate(total=Sum("amount"))["total"] or Decimal(0)
    says = settlement.lines_total if settlement.header_total is None else settlement.header_total
    return bool(total == says)


def settlements_by_day(account: Account, since: date, until: date) -> Mapping[date, int]:
    """Stored settlements by the day their period ends [UTC], since ≤ day < until."""
    return _by_day(Settlement.objects.filter(account=account), "period_end", since, until)


def transactions_by_day(account: Account, since: date, until: date) -> Mapping[date, int]:
    """Stored transactions by the day they were posted [UTC]."""
    return _by_day(Transaction.objects.filter(account=account), "posted_at", since, until)


def payouts_by_day(account: Account, since: date, until: date) -> Mapping[date, int]:
    """Stored payouts by the day they were paid."""
    rows = (
        Payout.objects.filter(account=account, paid_on__gte=since, paid_on__lt=until)
        .order_by("paid_on")
        .values("paid_on")
        .annotate(rows=Count("pk"))
    )
    return {row["paid_on"]: row["rows"] for row in rows if row["paid_on"]}


def _by_day(
    rows: QuerySet[Settlement] | QuerySet[Transaction], moment: str, since: date, until: date
) -> dict[date, int]:
    days = (
        rows.annotate(day=TruncDate(moment, tzinfo=UTC))
        .filter(day__gte=since, day__lt=until)
        .order_by("day")
        .values("day")
        .annotate(rows=Count("pk"))
    )
    return {row["day"]: row["rows"] for row in days}
