"""The statement files people have brought, and the accounts they may bring them for."""

from __future__ import annotations

from django.db.models import QuerySet

from finance.models import StatementFile
from marketplaces.models import Account
from marketplaces.registry import connectors


def brought(*, account: str = "", state: str = "") -> QuerySet[StatementFile]:
    """Files by account code and state, the newest first, each with its account and settlement."""
    rows = StatementFile.objects.select_related("account", "settlement")
    if account:
        rows = rows.filter(account__code=account)
    return rows.filter(state=state) if state else rows


def are_waiting() -> bool:
    """Whether files have been brought that nobody has read yet."""
    return StatementFile.objects.filter(state=StatementFile.State.WAITING).exists()


def accounts_with_files() -> QuerySet[Account]:
    """The accounts whose marketplace's statements can be read from files, by name."""
    reading = [name for name, connector in connectors.items() if connector.parse_settlement is not None]
    return Account.objects.filter(channel__in=reading).order_by("name", "pk")
