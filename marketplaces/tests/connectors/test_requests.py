"""What the connectors ask for is what the public API descriptions allow: paths, parameters, bodies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from marketplaces.connectors.amazon import amazon
from marketplaces.connectors.bunnings import bunnings
from marketplaces.connectors.otto import otto
from marketplaces.port import Connector, Window
from marketplaces.sandbox.server import start
from marketplaces.tests.connectors.doors import NOW, Call, door
from marketplaces.tests.connectors.test_conformance import run

pytestmark = pytest.mark.skipif("API_SPECS_DIR" not in os.environ, reason="API_SPECS_DIR names no folder")
PAGING = {"max", "offset", "limit", "page_token", "sort", "order"}
"""Mirakl describes these in its general part, not with each operation."""


@pytest.fixture(scope="module")
def calls() -> dict[str, list[Call]]:
    """Everything the connectors ask a sandbox in one round, the test of the connection included."""
    asked: dict[str, list[Call]] = {}
    with start(seed=5, orders=300, days=40, now=NOW, faults="none", speed=100_000) as sandbox:
        for connector in (amazon, bunnings, otto):
            asked[connector.name] = [
                x for flow in connector.flows.values() for x in run(connector, flow, sandbox.url).calls
            ]
            opened = door(connector, sandbox.url)
            connector.check(connector.open(opened))
            asked[connector.name] += opened.http.calls  # type: ignore[attr-defined]  # the recording client
    return asked


def _models(connector: Connector) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = Path(os.environ["API_SPECS_DIR"])
    if connector is amazon:
        for name in ("orders_2026-01-01", "reports_2021-06-30", "finances_2024-06-19", "sellers"):
            yield name, json.loads((folder / f"amazon/models/{name}.json").read_text(encoding="utf-8"))
    else:
        yield "mirakl", json.loads((folder / "mirakl/mirakl-mmp-seller-openapi.json").read_text(encoding="utf-8"))


def _described(connector: Connector, call: Call) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The description holding the called operation, and its parameters."""
    prefix = connector.sites[0].sandbox_paths["api"]
    path = urlsplit(call.url).path.removeprefix(prefix)
    for _, model in _models(connector):
        for template, operations in model["paths"].items():
            pattern = re.sub(
                r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
            )
            if re.fullmatch(pattern, path) and call.method.lower() in operations:
                shared = model.get("components", {}).get("parameters", {}) | model.get("parameters", {})
                named = operations.get("parameters", []) + operations[call.method.lower()].get("parameters", [])
                return model, [shared[x["$ref"].rsplit("/", 1)[1]] if "$ref" in x else x for x in named]
    raise AssertionError(f"{call.method} {path} is in no description")


@pytest.mark.parametrize("connector", [amazon, bunnings], ids=lambda c: c.name)
def test_every_request_is_one_the_description_knows(connector: Connector, calls: dict[str, list[Call]]) -> None:
    checked = 0
    for call in calls[connector.name]:
        if call.operation in ("token", "reports.download"):
            continue
        model, parameters = _described(connector, call)
        names = {x["name"] for x in parameters if x["in"] == "query"}
        extra = PAGING if connector is bunnings else set()
        assert set(call.params) <= names | extra, call
        for each in parameters:
            if each.get("required") and each["in"] == "query":
                assert each["name"] in call.params, call
            if each["in"] == "body":
                jsonschema.validate(call.json, {**each["schema"], "definitions": model["definitions"]})
            if each["in"] == "query" and each["name"] in call.params:
                _value(each, call.params[each["name"]])
        checked += 1
    assert checked > 5


def _value(described: dict[str, Any], sent: str) -> None:
    schema = described.get("schema", described)
    allowed = schema.get("enum") or schema.get("items", {}).get("enum")
    parts = sent.split(",") if schema.get("type") == "array" else [sent]
    if allowed:
        assert set(parts) <= set(allowed)
    if schema.get("type") == "integer":
        assert int(sent) <= schema.get("maximum", int(sent))
    if schema.get("maxItems"):
        assert len(parts) <= schema["maxItems"]


def test_every_request_to_otto_is_one_its_table_of_operations_knows(calls: dict[str, list[Call]]) -> None:
    table = json.loads((Path(os.environ["API_SPECS_DIR"]) / "otto/otto_schema_tables_2025-04.json").read_text())
    known = {(x["method"], x["path"]): {p["name"] for p in x.get("params", ())} for x in table["operations"]}
    asked = [call for call in calls["otto"] if call.operation != "token"]
    assert {call.operation for call in asked} == {"orders.list", "products.list", "products.status", "quantities.list"}
    for call in asked:
        path = urlsplit(call.url).path.removeprefix("/otto")
        assert set(call.params) <= known[call.method, path], call
    assert all("nextcursor" not in x.params or set(x.params) == {"nextcursor", "limit"} for x in asked)


def test_amazon_orders_are_asked_by_last_change_only(calls: dict[str, list[Call]]) -> None:
    searches = [x for x in calls["amazon"] if x.operation == "orders.search"]
    assert searches
    for call in searches:
        assert {"lastUpdatedAfter", "lastUpdatedBefore"} <= set(call.params)
        assert not {"createdAfter", "createdBefore"} & set(call.params)
        assert call.params["maxResultsPerPage"] == "100"


def test_the_token_for_a_document_stays_at_home(calls: dict[str, list[Call]]) -> None:
    downloads = [x for x in calls["amazon"] if x.operation == "reports.download"]
    assert downloads
    assert all(not call.headers for call in downloads)


def test_one_sign_in_serves_all_requests_of_a_session() -> None:
    with start(seed=5, orders=300, days=40, now=NOW, faults="none", speed=100_000) as sandbox:
        opened = door(amazon, sandbox.url)
        session = amazon.open(opened)
        window = Window(since=NOW - timedelta(days=2), until=NOW - timedelta(minutes=3))
        for name in ("orders", "transactions"):
            fetch = amazon.flows[name].fetch
            assert fetch is not None
            fetch(session, window, "")
        operations = [x.operation for x in opened.http.calls]  # type: ignore[attr-defined]  # the recording client
    assert operations == ["token", "orders.search", "finances.transactions"]
