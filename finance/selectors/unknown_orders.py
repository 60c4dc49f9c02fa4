"""Orders that statements name and that were never read: a sign that the orders stream has a hole."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Min

from finance.models import SettlementLine
from finance.models.settlements import LineState
from marketplaces.models import Account
from marketplaces.selectors.gaps import OrderGap


def named(account: Account) -> Iterator[OrderGap]:
    """Each unknown order of the account with the first day and settlement that names it; one query."""
    waiting = SettlementLine.objects.filter(
        account_id=account.pk, state=LineState.AWAITING, order_line=None, reversed_in=None, posted_at__isnull=False
    ).exclude(order_ref="")
    rows = waiting.values("order_ref").annotate(first=Min("posted_at"), settlement=Min("settlement_ref"))
    for row in rows.order_by("order_ref"):
        yield OrderGap(order_ref=row["order_ref"], named_on=row["first"].date(), named_by=row["settlement"])
