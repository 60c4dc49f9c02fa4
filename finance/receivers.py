"""What finance does when something happens to its left: a new account gets its marketplace's rules."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from finance.services.reference import sync_reference
from marketplaces.models import Account
from marketplaces.signals import account_created


@receiver(account_created)
def load_reference(sender: Any, account: Account, **_: Any) -> None:
    """Load fee kinds, rules, terms and tolerances of the account's channel; in the transaction of its creation."""
    sync_reference(account.channel)
