"""Findings about money, for lists, tickets and pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Count, Min, Q, QuerySet, Sum

from finance.models import Discrepancy, LineReconciliation, RuleGap

OPEN = Discrepancy.State.OPEN


def living() -> QuerySet[Discrepancy]:
    """Findings nobody has decided about yet, with their account and settlement."""
    return Discrepancy.objects.filter(state=OPEN).select_related("account", "settlement").order_by("fingerprint")


def of_group(group_key: str) -> QuerySet[Discrepancy]:
    """Open findings that one decision settles."""
    return living().filter(group_key=group_key)


def lines_of_group(group_key: str) -> QuerySet[LineReconciliation]:
    """The order lines of a run of equal deviations."""
    rows = LineReconciliation.objects.filter(group_key=group_key, verdict="discrepancy")
    return rows.select_related("line__order").order_by("line__order__ordered_on", "pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings alike: one cause at one place. `amount` = paid − expected [currency]; `until` is the first deadline."""

    account: str
    account_code: str
    cause: str
    site: str
    group_key: str
    currency: str
    findings: int
    amount: Decimal
    until: date | None


def groups() -> list[Group]:
    """Open findings by cause and rate, the largest first; one query."""
    rows = (
        Discrepancy.objects.filter(state=OPEN)
        .order_by()
        .values("account__name", "account__code", "cause", "site", "group_key", "currency")
        .annotate(findings=Count("pk"), total=Sum("amount"), until=Min("claim_until"))
    )
    found = [
        Group(
            account=row["account__name"], account_code=row["account__code"], cause=row["cause"], site=row["site"],
            group_key=row["group_key"], currency=row["currency"], findings=row["findings"], amount=row["total"],
            until=row["until"],
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda group: (-abs(group.amount), group.group_key))


def sums_by_state(accounts: Iterable[int] = ()) -> dict[str, int]:
    """Findings by state."""
    chosen = Q(account__in=list(accounts)) if accounts else Q()
    rows = Discrepancy.objects.filter(chosen).order_by().values("state").annotate(findings=Count("pk"))
    return {row["state"]: row["findings"] for row in rows}


def rule_gaps() -> QuerySet[RuleGap]:
    """Combinations no rule covers, by the value they keep from being judged."""
    return RuleGap.objects.order_by("-blocked_amount", "-line_count", "site", "kind", "category")
