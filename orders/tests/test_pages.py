"""The order's page: found by the numbers people know, with its amounts and its raw document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.urls import reverse

from domventas.core.tenancy import acting_for
from marketplaces.records import ChargeRecord, FeeKind
from orders.models import Order
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, PRICE, Shop, line, order
from orders.tests.test_admin import browser

HOME = "/c/dom-ventas"


def test_an_order_is_found_by_its_account_and_number(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order("028-1234567-7654321")], now=NOW)
    staff = browser(client_dv, "ops")
    page = staff.get(f"{HOME}/orders/amazon-eu/O028-1234567-7654321/", follow=True)
    assert page.status_code == 200 and "O028-1234567-7654321" in page.content.decode()
    assert staff.get(f"{HOME}/orders/amazon-us/O028-1234567-7654321/").status_code == 404


def test_amounts_are_told_in_words_with_their_sign(shop: Shop, client_dv: Any) -> None:
    fee = ChargeRecord(kind=FeeKind.REFERRAL_FEE, amount=Decimal("-3.57"))
    ingest(shop.account, [order(1, lines=(line(1, charges=(*PRICE, fee)),))], now=NOW)
    with acting_for(client_dv):
        pk = Order.objects.get().pk
    words = browser(client_dv, "ops").get(f"{HOME}{reverse('orders:order', args=[pk])}").content.decode()
    assert "referral fee" in words and "−3.57" in words and "20.00" in words


def test_the_marketplaces_own_word_for_a_status_is_told_as_its_own(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order(1, lines=(line(1, raw_status="PARTIALLY_SHIPPED"),))], now=NOW)
    with acting_for(client_dv):
        pk = Order.objects.get().pk
    words = browser(client_dv, "ops").get(f"{HOME}{reverse('orders:order', args=[pk])}").content.decode()
    assert 'to ship<span class="sub">Amazon EU says: PARTIALLY_SHIPPED</span>' in words


def test_the_raw_document_is_linked_where_it_is_known(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order(1)], now=NOW, raw_id=77)
    with acting_for(client_dv):
        pk = Order.objects.get().pk
    words = browser(client_dv, "ops").get(f"{HOME}{reverse('orders:order', args=[pk])}").content.decode()
    assert f'href="{HOME}/system/raw/77/"' in words
