"""What every connector must keep to, whichever marketplace it speaks to: run over all of them, flow by flow."""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from marketplaces.connectors.amazon import amazon
from marketplaces.connectors.bunnings import bunnings
from marketplaces.connectors.otto import otto
from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Throttled, Unauthorized, Unavailable
from marketplaces.port import RECORD_OF_FLOW, Connector, Credentials, Door, Flow, RawPage, Window
from marketplaces.records import (
    Drift,
    FeeKind,
    MoneyEvent,
    OrderRecord,
    Rejected,
    SettlementLineRecord,
    SettlementRecord,
    TransactionRecord,
)
from marketplaces.sandbox.server import start
from marketplaces.tests.connectors.doors import NOW, SECRETS, RecordingHttp, door, pages

CONNECTORS: tuple[Connector, ...] = (amazon, bunnings, otto)
BY_FILE = {"otto": "otto-de"}
"""Marketplaces whose statements come as files, and the sandbox's account there."""
FLOWS = [pytest.param(c, name, id=f"{c.name}-{name}") for c in CONNECTORS for name in c.flows]
FETCHED = [pytest.param(c, n, id=f"{c.name}-{n}") for c in CONNECTORS for n, flow in c.flows.items() if flow.fetch]
WINDOW = Window(since=NOW - timedelta(days=60), until=NOW - timedelta(minutes=3))
NEVER_POSITIVE = {FeeKind.SELLER_DISCOUNT, FeeKind.DISCOUNT_TAX, FeeKind.REFERRAL_FEE, FeeKind.REFERRAL_FEE_TAX}
NEVER_NEGATIVE = {FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX, FeeKind.SHIPPING_PRICE, FeeKind.SHIPPING_TAX}


@dataclass
class Read:
    """Everything one flow of one connector gave from the sandbox."""

    pages: list[RawPage]
    found: list[Any]
    lines: list[SettlementLineRecord]
    calls: list[Any]


def run(connector: Connector, flow: Flow, url: str) -> Read:
    opened = door(connector, url)
    session = connector.open(opened)
    got = list(_pages(flow, session))
    found = [record for page in got for record in flow.translate(page)]
    lines = [x for r in found if isinstance(r, SettlementRecord) and r.lines is not None for x in r.lines]
    lines += [r.line for r in found if isinstance(r, TransactionRecord) and r.line is not None]
    assert isinstance(opened.http, RecordingHttp)
    return Read(got, found, lines, opened.http.calls)


def _pages(flow: Flow, session: Any) -> Iterator[RawPage]:
    if flow.fetch:
        yield from pages(flow.fetch, session, WINDOW)
        return
    assert flow.reports is not None
    if flow.reports.discover:
        found, token = flow.reports.discover(session, WINDOW, "")
        assert token == ""
        yield from (flow.reports.download(session, x.document_ref) for x in found if x.status == "done")
        return
    assert flow.reports.request is not None
    report_ref = flow.reports.request(session, WINDOW)
    for _ in range(100):
        state = flow.reports.poll(session, report_ref)
        if state.status != "processing":
            break
        time.sleep(0.05)
    assert state.status == "done"
    yield flow.reports.download(session, state.document_ref)


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with start(seed=3, orders=600, days=60, now=NOW, faults="payment", speed=100_000) as sandbox:
        yield sandbox.url


@pytest.fixture(scope="module")
def reads(sandbox_url: str) -> dict[tuple[str, str], Read]:
    return {(c.name, name): run(c, flow, sandbox_url) for c in CONNECTORS for name, flow in c.flows.items()}


def dropped(connector: Connector, url: str) -> list[SettlementLineRecord]:
    """Lines of the statements that the sandbox hands out as files."""
    place = f"{url}/__sandbox/statements/{BY_FILE[connector.name]}"
    files = [requests.get(f"{place}/{name}", timeout=20).content for name in requests.get(place, timeout=20).json()]
    assert connector.parse_settlement is not None
    return [line for body in files for line in connector.parse_settlement(body, "f.csv").lines or ()]


def values(thing: Any) -> Iterator[Any]:
    """Every value inside a record."""
    if is_dataclass(thing):
        for each in fields(thing):
            yield from values(getattr(thing, each.name))
    elif isinstance(thing, tuple | list | frozenset):
        for item in thing:
            yield from values(item)
    else:
        yield thing


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_a_flow_gives_records_of_its_own_kind_and_nothing_odd(
    connector: Connector, name: str, reads: dict[tuple[str, str], Read]
) -> None:
    read = reads[connector.name, name]
    assert connector.flows[name].record is RECORD_OF_FLOW[name]
    assert len(read.found) > 5
    assert {type(x) for x in read.found} == {RECORD_OF_FLOW[name]}


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_times_are_utc_money_is_decimal_and_ids_are_text(
    connector: Connector, name: str, reads: dict[tuple[str, str], Read]
) -> None:
    read = reads[connector.name, name]
    for value in values([*read.found, *read.lines]):
        if isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0)
        assert not isinstance(value, float)
        plain = (str, int, bool, Decimal, date, datetime, Enum, type(None))
        assert isinstance(value, plain) or hasattr(value, "__next__")
    for record in read.found:
        for field in fields(record):
            if field.name.endswith(("_ref", "_id")) and (got := getattr(record, field.name)) is not None:
                assert isinstance(got, str)
                assert got == got.strip() != ""


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_currencies_and_sites_are_those_of_the_account(
    connector: Connector, name: str, reads: dict[tuple[str, str], Read]
) -> None:
    read = reads[connector.name, name]
    currency = {site.code: site.currency for site in connector.sites}
    for record in [*read.found, *read.lines]:
        site = getattr(record, "site", None)
        if site is not None:
            assert currency[site] == record.currency


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
def test_charges_of_orders_carry_our_signs_and_add_up_to_the_stated_total(
    connector: Connector, reads: dict[tuple[str, str], Read]
) -> None:
    orders = [x for x in reads[connector.name, "orders"].found if isinstance(x, OrderRecord)]
    stated = 0
    for order in orders:
        for line in order.lines:
            for charge in line.charges:
                assert charge.kind is not FeeKind.UNKNOWN
                assert charge.amount <= 0 or charge.kind not in NEVER_POSITIVE
                assert charge.amount >= 0 or charge.kind not in NEVER_NEGATIVE
            for refund in line.refunds:
                assert sum(x.amount for x in refund.charges) < 0
        if order.total is None:
            assert order.total_kinds == frozenset()
        elif not any(line.status in ("canceled", "refused") for line in order.lines):
            charges = [x for line in order.lines for x in line.charges if x.kind in order.total_kinds]
            assert sum(x.amount for x in charges) == order.total
            stated += 1
    assert stated > 50 or (connector is otto and stated == 0), "Otto states no total"
    # An order may come on two pages, changed in between or not; it is one order all the same.
    assert len({(x.external_id, x.updated_at) for x in orders}) > 0.95 * len(orders)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
def test_the_sign_of_every_money_line_fits_its_kind(
    connector: Connector, reads: dict[tuple[str, str], Read], sandbox_url: str
) -> None:
    rows = connector.reference("fee_kinds")
    flows = [reads[connector.name, name] for name in ("settlements", "transactions") if name in connector.flows]
    lines = [line for read in flows for line in read.lines]
    if connector.name in BY_FILE:
        lines += dropped(connector, sandbox_url)
    known = 0
    for line in lines:
        matching = [row for row in rows if fnmatch.fnmatchcase(line.raw_type, row["raw_type_pattern"])]
        if not matching:
            continue
        row = max(matching, key=lambda r: ("*" not in r["raw_type_pattern"], len(r["raw_type_pattern"])))
        known += 1
        if row["sign"] and line.amount:
            assert ("+" if line.amount > 0 else "-") == row["sign"], line
    assert known > 0.94 * len(lines) > 100


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_reading_a_page_again_gives_the_same_records(
    connector: Connector, name: str, reads: dict[tuple[str, str], Read]
) -> None:
    flow = connector.flows[name]
    for page in reads[connector.name, name].pages[:3]:
        first, second = list(flow.translate(page)), list(flow.translate(page))
        assert [str(x).split("lines=<")[0] for x in first] == [str(x).split("lines=<")[0] for x in second]


@pytest.mark.parametrize(("connector", "name"), FLOWS)
def test_pages_hold_no_secret_in_their_context(
    connector: Connector, name: str, reads: dict[tuple[str, str], Read]
) -> None:
    for page in reads[connector.name, name].pages:
        told = f"{page!r} {dict(page.context)} {page.name}"
        assert not any(secret in told for field, secret in SECRETS[connector.name].items() if field != "shop_id")


# --- against a server that answers badly -------------------------------------------------------------------------


def bad(httpserver: HTTPServer, status: int, body: bytes, headers: dict[str, str] | None = None) -> str:
    """Every call but the sign-in gets this answer."""

    def answer(request: Request) -> Response:
        if request.path.endswith("/token"):
            token = {"access_token": "Atza|secret-token", "token_type": "bearer", "expires_in": 3600}
            return Response(json.dumps(token), content_type="application/json")
        return Response(body, status=status, headers=headers, content_type="application/json")

    httpserver.expect_request("").respond_with_handler(answer)
    return httpserver.url_for("")


def ask(connector: Connector, name: str, url: str) -> list[Any]:
    flow, session = connector.flows[name], connector.open(door(connector, url, limits={}))
    assert flow.fetch is not None
    return list(flow.translate(flow.fetch(session, WINDOW, "")))


@pytest.mark.parametrize(("connector", "name"), FETCHED)
@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (403, Forbidden), (429, Throttled), (400, Refused), (500, Unavailable)]
)
def test_a_bad_status_becomes_its_kind_of_error_and_tells_no_secret(
    httpserver: HTTPServer, connector: Connector, name: str, status: int, kind: type[BorderError]
) -> None:
    url = bad(httpserver, status, json.dumps(SECRETS[connector.name]).encode() + b" Atza|secret-token")
    with pytest.raises(BorderError) as caught:
        ask(connector, name, url)
    assert type(caught.value) is kind
    told = f"{caught.value} {caught.value!r} {caught.value.excerpt}"
    hidden = [value for field, value in SECRETS[connector.name].items() if field != "shop_id"]
    assert not any(secret in told for secret in [*hidden, "Atza|secret-token"])


@pytest.mark.parametrize(("connector", "name"), FETCHED)
@pytest.mark.parametrize(
    "body", [b"", b"<html>busy</html>", b"[]", b"null", b'{"a": NaN}', b'{"other": 1}', b'{"a": 1']
)
def test_an_odd_body_is_refused_as_malformed(
    httpserver: HTTPServer, connector: Connector, name: str, body: bytes
) -> None:
    with pytest.raises(Malformed):
        ask(connector, name, bad(httpserver, 200, body))


TOKENS = {
    ("amazon", "orders"): {"orders": [], "pagination": {"nextToken": "T"}},
    ("amazon", "transactions"): {"payload": {"nextToken": "T", "transactions": []}},
    ("bunnings", "transactions"): {"data": [], "next_page_token": "T"},
    ("bunnings", "settlements"): {"data": [], "next_page_token": "T"},
    ("bunnings", "payouts"): {"data": [], "next_page_token": "T"},
    ("otto", "orders"): {"resources": [], "links": [{"rel": "next", "href": "/v4/orders?nextcursor=T"}]},
}


@pytest.mark.parametrize(("key", "body"), TOKENS.items(), ids=lambda x: "-".join(x) if isinstance(x, tuple) else "")
def test_a_page_that_names_itself_as_the_next_one_is_refused(
    httpserver: HTTPServer, key: tuple[str, str], body: dict[str, Any]
) -> None:
    connector = next(c for c in CONNECTORS if c.name == key[0])
    session = connector.open(door(connector, bad(httpserver, 200, json.dumps(body).encode()), limits={}))
    fetch = connector.flows[key[1]].fetch
    assert fetch is not None
    assert fetch(session, WINDOW, "").next_token == "T"
    with pytest.raises(Malformed, match="never end"):
        fetch(session, WINDOW, "T")


LISTS = {
    ("amazon", "orders"): ("orders",),
    ("amazon", "transactions"): ("payload", "transactions"),
    ("bunnings", "orders"): ("orders",),
    ("bunnings", "offers"): ("offers",),
    ("bunnings", "transactions"): ("data",),
    ("bunnings", "settlements"): ("data",),
    ("bunnings", "payouts"): ("data",),
    ("otto", "orders"): ("resources",),
    ("otto", "offers"): ("products", "productVariations"),
}


def spoiled(page: RawPage, path: tuple[str, ...], spoil: Any) -> RawPage:
    """The page with its second row changed."""
    body = json.loads(page.body)
    rows = body
    for step in path:
        rows = rows[step]
    spoil(rows[1])
    return RawPage(body=json.dumps(body).encode(), content_type=page.content_type, context=page.context)


@pytest.mark.parametrize("key", LISTS, ids="-".join)
def test_a_bad_record_is_set_aside_and_its_neighbors_go_on(
    key: tuple[str, str], reads: dict[tuple[str, str], Read]
) -> None:
    flow = next(c for c in CONNECTORS if c.name == key[0]).flows[key[1]]
    page = reads[key].pages[0]
    whole = list(flow.translate(page))
    for spoil in (dict.clear, _mistype):
        found = list(flow.translate(spoiled(page, LISTS[key], spoil)))
        rejected = [x for x in found if isinstance(x, Rejected)]
        assert [type(x) for x in rejected] == [Rejected]
        assert "[1]" in rejected[0].path
        assert rejected[0].reason
        assert len(found) == len(whole)


def _mistype(row: dict[str, Any]) -> None:
    for name, value in row.items():
        row[name] = [True] if isinstance(value, str | int | float) else "odd"


WORDS = {
    ("amazon", "orders"): lambda row: row["fulfillment"].update(fulfillmentStatus="TELEPORTED"),
    ("amazon", "transactions"): lambda row: (
        row.update(transactionStatus="TELEPORTED"),
        row.update(relatedIdentifiers=[]),
    ),
    ("bunnings", "orders"): lambda row: row["order_lines"][0].update(order_line_state="TELEPORTED"),
    ("bunnings", "transactions"): lambda row: row.update(payment_state="TELEPORTED"),
    ("bunnings", "payouts"): lambda row: row["pay_out"].update(state="TELEPORTED"),
    ("otto", "orders"): lambda row: row["positionItems"][0].update(fulfillmentStatus="TELEPORTED"),
}


@pytest.mark.parametrize("key", WORDS, ids="-".join)
def test_a_word_nobody_knows_is_noted_and_the_record_still_comes(
    key: tuple[str, str], reads: dict[tuple[str, str], Read]
) -> None:
    flow = next(c for c in CONNECTORS if c.name == key[0]).flows[key[1]]
    page = reads[key].pages[0]
    found = list(flow.translate(spoiled(page, LISTS[key], WORDS[key])))
    assert [x.value for x in found if isinstance(x, Drift)] == ["TELEPORTED"]
    assert len([x for x in found if not isinstance(x, Drift)]) == len(list(flow.translate(page)))


# --- what ships with the connector -------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
def test_reference_data_speak_our_kinds_sites_and_dates(connector: Connector) -> None:
    sites, kinds = {x.code: x for x in connector.sites}, {x.value for x in FeeKind}
    patterns = [row["raw_type_pattern"] for row in connector.reference("fee_kinds")]
    assert len(patterns) == len(set(patterns)) > 40
    for row in connector.reference("fee_kinds"):
        assert row["raw_type_pattern"] == row["raw_type_pattern"].casefold()
        assert (row["kind"] in kinds, row["event"] in set(MoneyEvent), row["sign"] in ("+", "-", "")) == (True,) * 3
    for name in ("fee_rules", "refund_rules", "payment_terms", "tolerances"):
        rows = connector.reference(name)
        assert rows
        for row in rows:
            assert row["site"] in sites
            assert row["source"]
            assert not row.get("kind") or row["kind"] in kinds
            assert row.get("currency", sites[row["site"]].currency) == sites[row["site"]].currency
            assert not row["valid_to"] or date.fromisoformat(row["valid_from"]) < date.fromisoformat(row["valid_to"])


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
def test_every_operation_of_the_connector_has_a_declared_limit(
    connector: Connector, reads: dict[tuple[str, str], Read]
) -> None:
    used = {call.operation for key, read in reads.items() if key[0] == connector.name for call in read.calls}
    assert used - {"token", "reports.download"} <= set(connector.limits)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda c: c.name)
def test_testing_the_connection_says_in_words_what_is_wrong(connector: Connector, sandbox_url: str) -> None:
    assert connector.check(connector.open(door(connector, sandbox_url))).ok
    wrong = {**SECRETS[connector.name], "refresh_token": "Atzr|wrong-one", "api_key": "wrong-api-key"}
    wrong |= {"client_secret": "wrong-secret"}
    checked = connector.check(connector.open(door(connector, sandbox_url, secrets=wrong)))
    assert not checked.ok
    assert "wrong" not in checked.message
    assert len(checked.message) > 20


def test_secrets_do_not_show_in_a_door() -> None:
    opened: Door = door(amazon, "http://127.0.0.1:1")
    assert "sandbox-secret" not in repr(opened.credentials)
    assert "sandbox-secret" not in str(Credentials(opened.credentials))
