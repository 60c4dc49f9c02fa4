"""A marketplace that wants webhooks registered is asked by the same service: its folder says how, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from domventas.core.jobs import declare, firing, runner
from domventas.core.models import TaskRun
from marketplaces.errors import Later
from marketplaces.events import Asking, Subscribed
from marketplaces.models import Account, Subscription
from marketplaces.registry import connectors
from marketplaces.services import asking, inlets
from marketplaces.tests.sending import SECRET
from marketplaces.tests.support import NOW, Toy

PUBLIC = "https://backoffice.example"
State = Subscription.State


@dataclass
class Hooks:
    """Webhooks a marketplace keeps in memory: topic → (id, address). `calls` are all that were made."""

    kept: dict[str, tuple[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    waits: bool = False

    def find(self, session: Any, topic: str) -> Subscribed | None:
        self.calls.append(f"find {topic}")
        if self.waits:
            raise Later("Not now.", after=timedelta(minutes=3))
        ref, target = self.kept.get(topic, ("", ""))
        return Subscribed(ref=ref, target=target) if ref else None

    def create(self, session: Any, topic: str, target: str) -> Subscribed:
        self.calls.append(f"create {topic}")
        self.kept[topic] = (f"hook-{len(self.calls)}", target)
        return Subscribed(ref=self.kept[topic][0], target=target)

    def remove(self, session: Any, topic: str, ref: str) -> None:
        self.calls.append(f"remove {topic}")
        self.kept.pop(topic, None)


@pytest.fixture
def hooks(toy: Toy, settings: Any) -> Hooks:
    """The toy marketplace, which registers webhooks for two topics."""
    settings.PUBLIC_URL = PUBLIC
    found, known = Hooks(), connectors["toy"]
    assert known.events is not None
    how = Asking(
        topics=("orders/updated", "orders/cancelled"), inlet="webhook", target=lambda session, url: url,
        find=found.find, create=found.create, remove=found.remove,
    )  # fmt: skip
    connectors["toy"] = replace(known, events=replace(known.events, asking=how))
    return found


def work() -> list[str]:
    """What a worker does with the runs asked for."""
    runs = TaskRun.objects.filter(task="events.subscribe.toy", state="queued")
    return [runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk) for run in runs]


def test_a_new_address_is_registered_for_every_topic_and_taken_back_when_it_closes(
    hooks: Hooks, account: Account
) -> None:
    inlet = inlets.open_webhook(account, secret=SECRET, now=NOW)
    assert work() == ["done"]
    address = f"{PUBLIC}/in/{inlet.key}"
    assert {topic: target for topic, (_, target) in hooks.kept.items()} == {
        "orders/updated": address, "orders/cancelled": address,
    }  # fmt: skip
    assert set(Subscription.objects.values_list("state", "target")) == {(State.SUBSCRIBED, address)}
    hooks.calls.clear()
    assert asking.align(account, now=NOW).kept == 2
    assert hooks.calls == ["find orders/updated", "find orders/cancelled"]
    inlets.close(inlet, now=NOW + timedelta(hours=1))
    assert work() == ["done"]
    assert not hooks.kept and not Subscription.objects.exists()


def test_a_topic_no_longer_wanted_is_taken_back(hooks: Hooks, account: Account) -> None:
    inlets.open_webhook(account, secret=SECRET, now=NOW)
    work()
    known = connectors["toy"]
    assert known.events is not None and known.events.asking is not None
    fewer = replace(known.events.asking, topics=("orders/updated",))
    connectors["toy"] = replace(known, events=replace(known.events, asking=fewer))
    assert asking.align(account, now=NOW).removed == 1
    assert list(hooks.kept) == ["orders/updated"]


def test_without_an_address_of_our_own_nothing_is_registered_and_it_says_why(
    hooks: Hooks, account: Account, settings: Any
) -> None:
    settings.PUBLIC_URL = ""
    inlets.open_webhook(account, secret=SECRET, now=NOW)
    assert work() == ["done"]
    assert not hooks.calls
    assert set(Subscription.objects.values_list("state", flat=True)) == {State.REFUSED}
    assert "PUBLIC_URL is not set" in Subscription.objects.values_list("note", flat=True)[0]


def test_a_marketplace_that_asks_for_patience_gets_it(hooks: Hooks, account: Account) -> None:
    inlets.open_webhook(account, secret=SECRET, now=NOW)
    hooks.waits = True
    assert work() == ["queued"]
    assert not hooks.kept
    assert set(Subscription.objects.values_list("state", flat=True)) == {State.ASKED}
    assert firing.fire("events.subscribe.toy", now=NOW) == 1
