"""Which secrets run out, and when: by what people said, or by how long the marketplace lets them last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from marketplaces.models import Account, Credential
from marketplaces.port import Connector
from marketplaces.registry import connectors
from marketplaces.selectors.trouble import Place

#: What secrets are called beside flows.
CREDENTIALS: Final = "credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """Secrets of one account and their last day. `is_said`: somebody entered it; else it can be no later."""

    place: Place
    on: date
    is_said: bool


def expiring(*, by: date) -> list[Expiring]:
    """Secrets that run out by that day or have run out, of accounts that are read, the first one first; one query."""
    status = (Account.Status.ACTIVE, Account.Status.BROKEN)
    rows = Credential.objects.filter(account__status__in=status).select_related("account")
    found = [one for row in rows.defer("secrets", "tokens") if (one := _expiring(row, connectors)) is not None]
    return sorted((one for one in found if one.on <= by), key=lambda one: (one.on, one.place.account_id))


def _expiring(row: Credential, known: Mapping[str, Connector]) -> Expiring | None:
    account, connector = row.account, known.get(row.account.channel)
    lasts = [field.lasts for field in connector.credential_fields if field.lasts] if connector else []
    latest: timedelta | None = min(lasts, default=None)
    on = row.expires_on or ((row.set_at + latest).date() if latest else None)
    if on is None:
        return None
    place = Place(account_id=account.pk, account=account.name, channel=account.channel, flow=CREDENTIALS)
    return Expiring(place=place, on=on, is_said=row.expires_on is not None)
