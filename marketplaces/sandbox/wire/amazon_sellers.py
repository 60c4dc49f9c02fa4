"""Where a seller is allowed to sell: the answer to *test connection*."""

from __future__ import annotations

from ..world.places import SITES, Account
from .http import Request, Response, json_response
from .state import State


def marketplace_participations(state: State, account: Account, request: Request) -> Response:
    """getMarketplaceParticipations: one row per site of the account."""
    payload = [
        {
            "marketplace": {
                "id": site.external_id,
                "name": site.name,
                "countryCode": site.country,
                "defaultCurrencyCode": site.currency,
                "defaultLanguageCode": site.language,
                "domainName": f"www.{site.code}",
            },
            "participation": {"isParticipating": True, "hasSuspendedListings": False},
            "storeName": "Dom Ventas",
        }
        for site in (SITES[code] for code, _ in account.sites)
    ]
    return json_response({"payload": payload})
