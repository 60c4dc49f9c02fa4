"""Signing in at Otto, and offers put together from three calls."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from marketplaces.connectors.otto import otto
from marketplaces.errors import Forbidden, Malformed, Unauthorized
from marketplaces.port import RawPage, Token, Window
from marketplaces.records import ListingStatus, OfferRecord, Rejected
from marketplaces.tests.connectors.doors import NOW, door, pages

WINDOW = Window(since=NOW - timedelta(days=1), until=NOW)
TOKEN = {"access_token": "eyJ-first", "expires_in": 1800, "token_type": "Bearer", "scope": "orders"}


def operations(opened: Any) -> list[str]:
    return [call.operation for call in opened.http.calls]


def test_one_sign_in_serves_a_session_and_its_form_names_the_rights(httpserver: HTTPServer) -> None:
    forms: list[dict[str, str]] = []

    def token(request: Request) -> Response:
        forms.append(request.form.to_dict())
        return Response(json.dumps(TOKEN), content_type="application/json")

    httpserver.expect_request("/otto/v1/token").respond_with_handler(token)
    httpserver.expect_request("/otto/v4/orders", headers={"Authorization": "Bearer eyJ-first"}).respond_with_json(
        {"resources": []}
    )
    opened = door(otto, httpserver.url_for(""))
    session, fetch = otto.open(opened), otto.flows["orders"].fetch
    assert fetch is not None
    for _ in range(2):
        fetch(session, WINDOW, "")
    assert operations(opened) == ["token", "orders.list", "orders.list"]
    assert forms == [
        {
            "grant_type": "client_credentials", "client_id": "sandbox-otto-app", "client_secret": "sandbox-otto-secret",
            "scope": "orders products quantities shipments",
        }
    ]  # fmt: skip


def test_a_token_refused_before_its_time_is_renewed_once(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/otto/v1/token").respond_with_json(TOKEN | {"access_token": "eyJ-second"})
    good = {"Authorization": "Bearer eyJ-second"}
    httpserver.expect_request("/otto/v4/orders", headers=good).respond_with_json({"resources": []})
    httpserver.expect_request("/otto/v4/orders").respond_with_json({"errors": []}, status=401)
    opened = door(otto, httpserver.url_for(""))
    opened.tokens.put("client", Token("eyJ-dead", NOW + timedelta(minutes=20)))
    fetch = otto.flows["orders"].fetch
    assert fetch is not None
    fetch(otto.open(opened), WINDOW, "")
    assert operations(opened) == ["orders.list", "token", "orders.list"]


def test_a_right_that_is_not_granted_stops_what_needs_it_and_nothing_else(httpserver: HTTPServer) -> None:
    asked: list[str] = []

    def token(request: Request) -> Response:
        asked.append(request.form["scope"])
        if "products" in asked[-1]:
            return Response(json.dumps({"error": "invalid_scope"}), status=400, content_type="application/json")
        return Response(json.dumps(TOKEN), content_type="application/json")

    httpserver.expect_request("/otto/v1/token").respond_with_handler(token)
    httpserver.expect_request("/otto/v4/orders").respond_with_json({"resources": []})
    opened = door(otto, httpserver.url_for(""))
    session, orders, offers = otto.open(opened), otto.flows["orders"].fetch, otto.flows["offers"].fetch
    assert orders is not None and offers is not None
    for _ in range(2):
        orders(session, WINDOW, "")
    assert asked == ["orders products quantities shipments", "orders"], "found out once, then one token for the right"
    with pytest.raises(Forbidden, match="for products: the app lacks a right"):
        offers(session, WINDOW, "")


def test_an_app_that_is_not_known_any_more_stops_the_account(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/otto/v1/token").respond_with_json({"error": "invalid_client"}, status=400)
    fetch = otto.flows["orders"].fetch
    assert fetch is not None
    with pytest.raises(Unauthorized, match="not let in") as caught:
        fetch(otto.open(door(otto, httpserver.url_for(""))), WINDOW, "")
    assert not isinstance(caught.value, Forbidden)


@pytest.mark.parametrize("seconds", [None, "1800", True])
def test_a_token_that_does_not_say_how_long_it_lasts_is_refused(httpserver: HTTPServer, seconds: Any) -> None:
    httpserver.expect_request("/otto/v1/token").respond_with_json(TOKEN | {"expires_in": seconds})
    fetch = otto.flows["orders"].fetch
    assert fetch is not None
    with pytest.raises(Malformed, match="how long the token lasts"):
        fetch(otto.open(door(otto, httpserver.url_for(""))), WINDOW, "")


def product(sku: str, **changed: Any) -> dict[str, Any]:
    """A product as Otto lists it."""
    return {
        "productReference": f"P-{sku}", "sku": sku, "ean": "4006381333931", "moin": "M1",
        "productDescription": {"category": "Leuchte", "brandId": "ALBA1", "productLine": "Lampe"},
        "pricing": {"standardPrice": {"amount": 19.95, "currency": "EUR"}, "vat": "FULL"},
        **changed,
    }  # fmt: skip


def serve(httpserver: HTTPServer, statuses: list[dict[str, Any]], stock: list[dict[str, Any]], *skus: str) -> None:
    """Two pages of products, and the lists beside them."""
    httpserver.expect_request("/otto/v1/token").respond_with_json(TOKEN)
    httpserver.expect_request("/otto/v5/products/marketplace-status").respond_with_json({"marketPlaceStatus": statuses})
    httpserver.expect_request("/otto/v2/quantities").respond_with_json({"resources": {"variations": stock}})
    link = [{"rel": "next", "href": "/v5/products?page=1&limit=100"}]
    first, second = [product(sku) for sku in skus[:1]], [product(sku) for sku in skus[1:]]
    httpserver.expect_request("/otto/v5/products", query_string="limit=100&page=0").respond_with_json(
        {"productVariations": first, "links": link}
    )
    httpserver.expect_request("/otto/v5/products", query_string="limit=100&page=1").respond_with_json(
        {"productVariations": second, "links": []}
    )


def offers(got: list[RawPage]) -> list[OfferRecord]:
    found = [record for page in got for record in otto.flows["offers"].translate(page)]
    assert all(isinstance(x, OfferRecord) for x in found), found
    return found  # type: ignore[return-value]  # checked above


def test_offers_are_put_together_by_sku_and_the_lists_are_read_once(httpserver: HTTPServer) -> None:
    statuses = [
        {"sku": "A", "status": "ONLINE", "errors": []},
        {"sku": "B", "status": "RESTRICTED", "errors": [{"code": "106400", "title": "Bild fehlt"}]},
    ]
    serve(httpserver, statuses, [{"sku": "A", "quantity": 7}], "A", "B")
    opened = door(otto, httpserver.url_for(""))
    got = list(pages(otto.flows["offers"].fetch, otto.open(opened), WINDOW))
    a, b = offers(got)
    assert (a.offer_ref, a.product_ref, a.eans, a.title) == ("A", "M1", ("4006381333931",), "Lampe")
    assert (a.status, a.price, a.currency, a.quantity) == (ListingStatus.ACTIVE, Decimal("19.95"), "EUR", 7)
    assert (b.status, b.raw_status, b.quantity) == (ListingStatus.SUPPRESSED, "RESTRICTED Bild fehlt", None)
    assert operations(opened) == ["token", "products.status", "quantities.list", "products.list", "products.list"]
    assert b'"amount": 19.95' in got[0].body or b'"amount":19.95' in got[0].body


def test_an_offer_without_a_status_is_unknown_not_active(httpserver: HTTPServer) -> None:
    serve(httpserver, [], [], "A")
    (found,) = offers(list(pages(otto.flows["offers"].fetch, otto.open(door(otto, httpserver.url_for(""))), WINDOW)))
    assert (found.status, found.quantity) == (ListingStatus.UNKNOWN, None)


def test_a_reading_that_goes_on_elsewhere_reads_the_lists_again(httpserver: HTTPServer) -> None:
    serve(httpserver, [{"sku": "B", "status": "ONLINE"}], [{"sku": "B", "quantity": 3}], "A", "B")
    fetch = otto.flows["offers"].fetch
    assert fetch is not None
    (found,) = offers([fetch(otto.open(door(otto, httpserver.url_for(""))), WINDOW, "1")])
    assert (found.offer_ref, found.quantity) == ("B", 3)


def test_a_stock_row_of_no_article_is_set_aside_and_its_neighbors_go_on(httpserver: HTTPServer) -> None:
    serve(httpserver, [{"sku": "A", "status": "ONLINE"}], [{"quantity": 4}, {"sku": "A", "quantity": 7}], "A", "B")
    got = list(pages(otto.flows["offers"].fetch, otto.open(door(otto, httpserver.url_for(""))), WINDOW))
    found = [record for page in got for record in otto.flows["offers"].translate(page)]
    assert [x.path for x in found if isinstance(x, Rejected)] == ["quantities[1].sku"]
    assert [(x.offer_ref, x.quantity) for x in found if isinstance(x, OfferRecord)] == [("A", 7), ("B", None)]


@pytest.mark.parametrize("odd", [5.5, "7"])
def test_a_stock_that_is_no_whole_number_spoils_its_own_offer_only(httpserver: HTTPServer, odd: Any) -> None:
    serve(httpserver, [], [{"sku": "A", "quantity": odd}, {"sku": "B", "quantity": 2}], "A", "B")
    got = list(pages(otto.flows["offers"].fetch, otto.open(door(otto, httpserver.url_for(""))), WINDOW))
    found = [record for page in got for record in otto.flows["offers"].translate(page)]
    assert [x.external_id for x in found if isinstance(x, Rejected)] == ["A"]
    assert [(x.offer_ref, x.quantity) for x in found if isinstance(x, OfferRecord)] == [("B", 2)]


def test_an_amount_of_stock_that_is_none_sets_its_offer_aside(httpserver: HTTPServer) -> None:
    serve(httpserver, [], [{"sku": "A", "quantity": -1}], "A", "B")
    got = list(pages(otto.flows["offers"].fetch, otto.open(door(otto, httpserver.url_for(""))), WINDOW))
    found = [record for page in got for record in otto.flows["offers"].translate(page)]
    assert [type(x) for x in found] == [Rejected, OfferRecord]
