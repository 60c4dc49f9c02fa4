"""Every field of a record missing, empty, of another type or with a new word: the record may go, its neighbors stay."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from marketplaces.port import Connector, Flow, RawPage
from marketplaces.records import Drift, Rejected
from marketplaces.registry import connectors
from marketplaces.sandbox.server import start
from marketplaces.tests.connectors.doors import NOW, SECRETS
from marketplaces.tests.connectors.test_conformance import run

FLOWS = [
    pytest.param(connector, name, id=f"{connector.name}-{name}")
    for connector in connectors.values()
    if connector.name in SECRETS
    for name, flow in connector.flows.items()
    if flow.fetch is not None  # the others are text files
]
RETYPED: tuple[Any, ...] = ("", "HALF_WAY_UP", 7, -1, 1.5, True, [], ["x"], {}, {"x": 1}, [{"x": None}], "2026-13-45")
Place = tuple[Any, ...]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start(seed=4, orders=120, days=60, skus=30, now=NOW, faults="payment", speed=1e6) as sandbox:
        yield sandbox.url


def records_of(body: Any) -> list[dict[str, Any]]:
    """The list of records in a page's body, however deep it lies."""
    for value in body.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return value
        if isinstance(value, dict) and (found := records_of(value)):
            return found
    return []


def places(value: Any, way: Place = ()) -> Iterator[Place]:
    """Every field inside a record; of a list its first item stands for all."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield (*way, key)
            yield from places(inside, (*way, key))
    elif isinstance(value, list) and value:
        yield (*way, 0)
        yield from places(value[0], (*way, 0))


def changed(row: dict[str, Any], place: Place, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    spoiled = copy.deepcopy(row)
    holder: Any = spoiled
    for key in place[:-1]:
        holder = holder[key]
    change(holder, place[-1])
    return spoiled


def mutations(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record with one field spoiled, in every way."""

    def put(value: Any) -> Callable[[Any, Any], None]:
        return lambda holder, key: holder.__setitem__(key, value)

    for place in places(row):
        told = ".".join(map(str, place))
        yield f"{told} missing", changed(row, place, lambda holder, key: holder.pop(key))
        yield f"{told} null", changed(row, place, put(None))
        for value in RETYPED:
            yield f"{told} {value!r}", changed(row, place, put(copy.deepcopy(value)))


def translated(flow: Flow, page: RawPage, body: Any) -> list[Any]:
    spoiled = RawPage(
        body=json.dumps(body).encode(), content_type=page.content_type, context=page.context, name=page.name
    )
    return [item for item in flow.translate(spoiled) if not isinstance(item, Drift)]


@pytest.mark.parametrize(("connector", "name"), FLOWS)
@pytest.mark.scenario("A9", "Every field of a record drifts: missing, null, other type, new word")
def test_a_spoiled_record_goes_alone(connector: Connector, name: str, url: str, record_fault: Any):
    flow = connector.flows[name]
    richest = max((page for page in run(connector, flow, url).pages), key=lambda page: len(page.body))
    body = json.loads(richest.body)
    rows = records_of(body)
    first, spoiled, last = rows[0], max(rows[1:-1], key=lambda row: len(json.dumps(row))), rows[-1]
    rows[:] = [first, spoiled, last]
    whole = translated(flow, richest, body)
    rows[:] = [first]
    before = len(translated(flow, richest, body))
    rows[:] = [last]
    after = len(translated(flow, richest, body))
    good = [*whole[:before], *whole[len(whole) - after :]]
    count = quarantined = 0
    for told, bad in mutations(spoiled):
        rows[:] = [first, bad, last]
        found = translated(flow, richest, body)
        kept = [item for item in found if not isinstance(item, Rejected)]
        assert all(item in kept for item in good), told
        assert len(found) <= len(good) + 1, told
        count += 1
        quarantined += len(found) - len(kept)
    for odd in (None, "text", 7, [], [{}]):
        rows[:] = [first, odd, last]
        found = translated(flow, richest, body)
        kept = [item for item in found if not isinstance(item, Rejected)]
        assert all(item in kept for item in good), odd
        assert len(found) == len(good) + 1, odd
    assert count > 100
    assert quarantined > 0
    record_fault(f"{count} mutations of one {name} record of {connector.label}", unhandled=0, neighbors_lost=0,
                 quarantined=quarantined)  # fmt: skip
