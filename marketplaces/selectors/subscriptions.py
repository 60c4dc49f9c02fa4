"""Which events each account has asked its marketplace for, and what stands in the way where it has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from marketplaces.events import Asking
from marketplaces.models import Account, Inlet, Subscription
from marketplaces.registry import connectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One account of a marketplace that can be asked for its events.

    Attributes:
        topics: what it can be asked for. rows: what was asked for, by topic.
        has_inlet: whether there is an address of ours it could deliver to.
        inlet: the kind of that address.
    """

    account_id: int
    topics: tuple[str, ...]
    inlet: str
    has_inlet: bool
    rows: list[Subscription] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything it can be asked for is subscribed."""
        done = {row.topic for row in self.rows if row.state == Subscription.State.SUBSCRIBED}
        return done >= set(self.topics)


def asking_of(channel: str) -> Asking | None:
    """How a marketplace is asked for its events; None where it cannot be."""
    connector = connectors.get(channel)
    return connector.events.asking if connector and connector.events else None


def inlet_of(account: Account) -> Inlet | None:
    """The open address of the kind the account's marketplace delivers to, the oldest; with its secrets not loaded."""
    asking = asking_of(account.channel)
    if asking is None:
        return None
    found = Inlet.objects.filter(account=account, kind=asking.inlet, closed_at=None)
    return found.defer("secrets").order_by("pk").first()


def accounts_at(channel: str) -> list[int]:
    """The acting client's accounts at a marketplace that may be read and have an inlet, or had one and subscribed."""
    asking = asking_of(channel)
    if asking is None:
        return []
    with_inlet = Inlet.objects.filter(closed_at=None, kind=asking.inlet).values("account_id")
    with_rows = Subscription.objects.values("account_id")
    active = Account.objects.filter(channel=channel, status=Account.Status.ACTIVE)
    found = active.filter(Q(pk__in=with_inlet) | Q(pk__in=with_rows))
    return list(found.order_by("pk").values_list("pk", flat=True))


def asked(accounts: Sequence[Account]) -> dict[int, Asked]:
    """By account, those whose marketplace can be asked; two queries for however many."""
    able = {account.pk: found for account in accounts if (found := asking_of(account.channel))}
    if not able:
        return {}
    inlets = set(Inlet.objects.filter(account__in=able, closed_at=None).values_list("account_id", "kind"))
    rows: dict[int, list[Subscription]] = defaultdict(list)
    for row in Subscription.objects.filter(account__in=able).order_by("topic"):
        rows[row.account_id].append(row)
    return {
        pk: Asked(
            account_id=pk, topics=asking.topics, inlet=asking.inlet, has_inlet=(pk, asking.inlet) in inlets,
            rows=rows[pk],
        )
        for pk, asking in able.items()
    }  # fmt: skip
