"""What is fetched by its number says the same as the page of a poll: record by record, over the sandbox's wire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from marketplaces.connectors.amazon import amazon
from marketplaces.connectors.bunnings import bunnings
from marketplaces.connectors.otto import otto
from marketplaces.errors import BorderError
from marketplaces.port import Connector, Window
from marketplaces.records import OrderRecord
from marketplaces.redact import blank
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.tests.connectors.doors import NOW, door, pages

CONNECTORS: tuple[Connector, ...] = (amazon, bunnings, otto)
FLOWS = [
    pytest.param(c, name, id=f"{c.name}-{name}") for c in CONNECTORS for name, flow in c.flows.items() if flow.fetch_one
]
WINDOW = Window(since=NOW - timedelta(days=12), until=NOW - timedelta(minutes=3))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=11, orders=60, days=20, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


def test_every_marketplace_that_tells_of_things_can_fetch_them():
    for connector in CONNECTORS:
        assert connector.events is None or connector.flows["orders"].fetch_one is not None


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_one_thing_reads_as_it_does_in_a_poll(sandbox: Sandbox, connector: Connector, name: str):
    flow, session = connector.flows[name], connector.open(door(connector, sandbox.url))
    assert flow.fetch
    assert flow.fetch_one
    polled = {
        record.external_id: record
        for page in pages(flow.fetch, session, WINDOW)
        for record in flow.translate(page)
        if isinstance(record, OrderRecord)
    }
    assert len(polled) > 2
    for ref in list(polled)[:5]:
        page = flow.fetch_one(session, ref)
        assert list(flow.translate(page)) == [polled[ref]]
        buyer = polled[ref].buyer
        without = blank(page.body, flow.pii_paths).decode()
        assert buyer is not None
        whole = buyer.street or buyer.name
        assert whole is not None
        told = max(whole.split(), key=len)  # names come in two halves at Mirakl, streets at Otto
        assert told in page.body.decode()
        assert told not in without
    if flow.fetch_some:
        refs = list(polled)[:5]
        found = [r.external_id for r in flow.translate(flow.fetch_some(session, refs)) if isinstance(r, OrderRecord)]
        assert sorted(found) == sorted(refs)


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_a_number_nobody_knows_brings_nothing_or_a_refusal(sandbox: Sandbox, connector: Connector, name: str):
    flow, session = connector.flows[name], connector.open(door(connector, sandbox.url))
    assert flow.fetch_one
    for ref in ("nobody-knows", "a/../b?c=d"):
        try:
            page = flow.fetch_one(session, ref)
        except BorderError:
            continue
        assert list(flow.translate(page)) == []
