"""Staff confirm a parcel on a page: they see what will be told before they say yes, and what became of it after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from domventas.core.tenancy import acting_for
from marketplaces.models import OutboxCommand
from marketplaces.services import push_flows
from orders.models import Order, OrderLine, Shipment
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order
from orders.tests.test_admin import FORM, address, browser

HOME = "/c/dom-ventas"


@pytest.fixture
def placed(shop: Shop) -> Order:
    flow = push_flows.flow_of(shop.account, "shipments", now=NOW)
    push_flows.set_mode(flow, "live", actor="test", now=NOW, why="for this test", early=True)
    ingest(shop.account, [order(lines=(line(1, quantity=3), line(2)))], now=NOW)
    return Order.objects.get()


def page_of(order: Order) -> str:
    return f"{HOME}{reverse('orders:ship', args=[order.pk])}"


def fields(client: Any, **more: Any) -> dict[str, Any]:
    with acting_for(client):
        pieces = {f"pieces_{each.pk}": 1 for each in OrderLine.objects.all()}
    return FORM | pieces | {"carrier": "dhl", "tracking_number": "JD-0001", "shipped_at": "2026-11-20T18:00"} | more


def test_from_the_order_to_a_confirmed_parcel(placed: Order, client_dv: Any) -> None:
    staff = browser(client_dv, "warehouse")
    shown = staff.get(f"{HOME}{reverse('orders:order', args=[placed.pk])}").content.decode()
    assert f'href="{page_of(placed)}"' in shown and "No parcel of this order has been confirmed here" in shown
    form = staff.get(page_of(placed)).content.decode()
    assert 'value="3"' in form and "Left to ship" in form
    preview = staff.post(page_of(placed), fields(client_dv, step="preview")).content.decode()
    assert "What will be told" in preview and "1 / 3" in preview and "20 Nov 2026, 18:00" in preview
    with acting_for(client_dv):
        assert not Shipment.objects.exists(), "looking changes nothing"
    done = staff.post(page_of(placed), fields(client_dv, step="confirm"), follow=True).content.decode()
    assert "Parcel 1 is confirmed." in done and "waits to be told" in done and "JD-0001" in done
    with acting_for(client_dv):
        made = Shipment.objects.get()
        assert (made.created_by, made.lines.count()) == ("warehouse@example.com", 2)
        assert made.shipped_at == datetime(2026, 11, 20, 17, 0, tzinfo=UTC), "what people write is the client's time"
        assert OutboxCommand.objects.get().state == "waiting"
    again = staff.post(page_of(placed), fields(client_dv, step="confirm"), follow=True).content.decode()
    assert "This parcel is confirmed already." in again


def test_wrong_fields_say_what_is_wrong_with_them(placed: Order, client_dv: Any) -> None:
    staff = browser(client_dv, "ops")
    with acting_for(client_dv):
        wide = {f"pieces_{OrderLine.objects.get(external_id='L1').pk}": 9}
    answer = staff.post(page_of(placed), fields(client_dv, step="confirm", carrier="", shipped_at="soon", **wide))
    assert answer.status_code == 422
    assert answer.content.decode().count('role="alert"') >= 3
    with acting_for(client_dv):
        assert not Shipment.objects.exists()


def test_an_order_with_nothing_left_says_why(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order(lines=(line(1, offer_ref="X", seller_sku="X"),))], now=NOW)
    placed = Order.objects.get()
    assert "held: unknown offer" in browser(client_dv, "ops").get(page_of(placed)).content.decode()


def test_in_shadow_the_page_says_that_nobody_is_told(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order()], now=NOW)
    assert "This account is in shadow" in browser(client_dv, "ops").get(page_of(Order.objects.get())).content.decode()


def test_only_those_who_ship_may_confirm(placed: Order, client_dv: Any) -> None:
    for role, status in (("finance", 403), ("catalog", 403), ("admin", 403), ("ops", 200)):
        staff = browser(client_dv, role)
        assert staff.get(page_of(placed)).status_code == status, role
        shown = staff.get(f"{HOME}{reverse('orders:order', args=[placed.pk])}").content.decode()
        assert (f'href="{page_of(placed)}"' in shown) == (status == 200), role


def test_the_list_tells_what_became_of_each_parcel(placed: Order, client_dv: Any) -> None:
    staff = browser(client_dv, "warehouse")
    staff.post(page_of(placed), fields(client_dv, step="confirm"))
    with acting_for(client_dv):
        OutboxCommand.objects.update(state="refused", message="No such number.")
        key = Shipment.objects.get().pk
    home = address("orders_shipment_changelist")
    listed = staff.get(home).content.decode()
    assert "JD-0001" in listed and "refused" in listed and "No such number." in listed
    assert "JD-0001" in staff.get(f"{home}?state=refused").content.decode()
    assert "JD-0001" not in staff.get(f"{home}?state=accepted").content.decode()
    assert "L1" in staff.get(address("orders_shipment_change", key)).content.decode()
    done = staff.post(home, FORM | {"action": "look_again", "_selected_action": [key]}, follow=True).content.decode()
    assert "1 is looked up." in done
    with acting_for(client_dv):
        assert OutboxCommand.objects.get().state == "unknown"


def test_the_form_asks_as_often_for_twenty_lines_as_for_two(shop: Shop, client_dv: Any) -> None:
    staff = browser(client_dv, "ops")

    def queries(number: int, lines: int) -> int:
        ingest(shop.account, [order(number, lines=tuple(line(x) for x in range(lines)))], now=NOW)
        with acting_for(client_dv):
            placed = Order.objects.get(external_id=f"O{number}")
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(page_of(placed)).status_code == 200
        return len(asked)

    queries(1, 2)
    assert queries(2, 2) == queries(3, 20)
