"""Staff read orders, follow their links, and map unknown offers with one click."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import UnmappedItem
from domventas.core.models import Membership, User
from domventas.core.tenancy import acting_for
from orders.models import Order, OrderLine
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order

FORM = {"_client": "dom-ventas"}
"""What every form of a page says besides its own fields."""
WAITING = line(2, offer_ref="corvo 1", seller_sku="corvo 1", title="Drill")


def browser(client: Any, role: str) -> Browser:
    """Somebody in that role."""
    user = User.objects.create_user(f"{role}@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=role)
    found = Browser()
    found.force_login(user)
    return found


def address(name: str, *args: Any) -> str:
    """The page of Dom Ventas."""
    return f"/c/dom-ventas{reverse(f'admin:{name}', args=args)}"


@pytest.fixture
def loaded(shop: Shop) -> Shop:
    """One order with a line that waits."""
    ingest(shop.account, [order(lines=(line(1), WAITING))], now=NOW, raw_id=5)
    return shop


def test_one_click_maps_the_suggested_sku_and_releases_the_line(loaded: Shop, client_dv: Any) -> None:
    staff, item = browser(client_dv, "catalog"), UnmappedItem.objects.get()
    listed = staff.get(address("catalog_unmappeditem_changelist")).content.decode()
    assert address("catalog_unmappeditem_map", item.pk) in listed and "map to CORVO-1" in listed
    assert 'name="_client" value="dom-ventas"' in listed, "the button sends the list's form, which must name the client"
    assert staff.get(address("catalog_unmappeditem_map", item.pk)).status_code == 405
    answer = staff.post(address("catalog_unmappeditem_map", item.pk), FORM, follow=True)
    assert "1 offer is now CORVO-1." in answer.content.decode()
    with acting_for(client_dv):
        assert OrderLine.objects.get(external_id="L2").hold == ""
        assert UnmappedItem.objects.get().mapped_by == "catalog@example.com"


def test_the_form_maps_to_any_sku_and_tells_what_hinders_it(loaded: Shop, client_dv: Any) -> None:
    staff, item, kettle = browser(client_dv, "catalog"), UnmappedItem.objects.get(), loaded.sku("ALBA-1")
    page = address("catalog_unmappeditem_change", item.pk)
    assert staff.get(page).status_code == 200
    staff.post(page, {"sku": kettle.pk} | FORM)
    with acting_for(client_dv):
        assert OrderLine.objects.get(external_id="L2").sku == kettle
    again = staff.post(page, {"sku": loaded.sku("CORVO-1").pk} | FORM, follow=True)
    assert "already mapped" in again.content.decode()


def test_who_may_not_change_the_catalog_may_not_map(loaded: Shop, client_dv: Any) -> None:
    item = UnmappedItem.objects.get()
    assert browser(client_dv, "auditor").post(address("catalog_unmappeditem_map", item.pk), FORM).status_code == 403
    assert UnmappedItem.objects.get().state == "open"


def test_an_order_shows_lines_charges_and_the_masked_buyer(loaded: Shop, client_dv: Any) -> None:
    page = browser(client_dv, "finance").get(address("orders_order_change", Order.objects.get().pk)).content.decode()
    for words in ("L1", "L2", "item price 20.00 EUR", "M. M., Hamburg, DE", "ALBA-1", "held"):
        assert words in page, words
    assert "Moritz" not in page and "Sandtor" not in page


@pytest.mark.parametrize("reason", ["held", "late", "total", "nonsense"])
def test_stuck_orders_are_found_by_reason(loaded: Shop, client_dv: Any, reason: str) -> None:
    page = browser(client_dv, "ops").get(address("orders_order_changelist") + f"?stuck={reason}").content.decode()
    link = address("orders_order_change", Order.objects.get().pk)
    assert (link in page) is (reason in {"held", "nonsense"})


def test_the_list_of_orders_asks_the_same_number_of_queries_for_two_and_for_twenty(
    loaded: Shop, client_dv: Any
) -> None:
    staff = browser(client_dv, "ops")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(address("orders_order_changelist")).status_code == 200
        return len(asked)

    queries()
    with acting_for(client_dv):
        ingest(loaded.account, [order(2)], now=NOW)
    few = queries()
    with acting_for(client_dv):
        ingest(loaded.account, [order(n) for n in range(3, 21)], now=NOW)
    assert queries() == few


def test_the_orders_page_shows_lines_events_and_what_other_apps_add(loaded: Shop, client_dv: Any) -> None:
    with acting_for(client_dv):
        pk = Order.objects.get().pk
    page = browser(client_dv, "finance").get(f"/c/dom-ventas{reverse('orders:order', args=[pk])}")
    words = page.content.decode()
    assert page.status_code == 200
    for shown in ("O1", "L1", "unknown offer", "M. M., Hamburg, DE", "held", "corvo 1"):
        assert shown in words, shown
    assert "Moritz" not in words
    assert browser(client_dv, "ops").get(f"/c/dom-ventas{reverse('orders:order', args=[pk + 1])}").status_code == 404


def test_the_orders_page_asks_the_same_number_of_queries_for_two_and_for_twenty_lines(
    shop: Shop, client_dv: Any
) -> None:
    few, many = order(1, lines=(line(1), line(2))), order(2, lines=tuple(line(n) for n in range(20)))
    ingest(shop.account, [few, many], now=NOW)
    keys = dict(Order.objects.values_list("external_id", "pk"))
    staff = browser(client_dv, "ops")

    def queries(name: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(f"/c/dom-ventas{reverse('orders:order', args=[keys[name]])}").status_code == 200
        return len(asked)

    queries("O1")
    assert queries("O1") == queries("O2")
