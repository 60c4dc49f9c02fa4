"""What all workers of this installation share in Valkey at the border: the budget of calls, and who does not answer."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from marketplaces.breaker import Breaker
from marketplaces.models import Account
from marketplaces.throttle import SharedLimiter


@lru_cache(maxsize=1)
def limiter() -> SharedLimiter:
    """The budget of calls."""
    return SharedLimiter(settings.REDIS_URL)


@lru_cache(maxsize=1)
def breaker() -> Breaker:
    """Which hosts are left alone."""
    return Breaker(settings.REDIS_URL)


def budget_key(account: Account) -> str:
    """Under which name an account's calls are counted."""
    return f"{account.client_id}:{account.pk}"
