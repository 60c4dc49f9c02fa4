"""Today and the page of stuck orders count the same thing: the same numbers stand on both."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.test import Client as Browser
from django.utils.html import strip_tags
from django.utils.timezone import now as clock

from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from marketplaces.records import FeeKind, LineStatus
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order
from orders.tests.conftest import shop as shop

HOME = "/c/dom-ventas/"


def strange(number: int, **values: Any) -> Any:
    """A line of an offer nobody has mapped."""
    return line(number, offer_ref="DRILL-X", seller_sku="DRILL-X", **values)


def test_today_says_the_same_numbers_as_the_page_it_leads_to(shop: Shop, client_dv: Client) -> None:
    past = clock() - timedelta(hours=2)
    wrong = {"total": Decimal(99), "total_kinds": frozenset({FeeKind.ITEM_PRICE})}
    ingest(shop.account, [
        order(1, lines=(strange(1), strange(2), line(3))), order(2, lines=(strange(1, ship_by=past),), **wrong),
        order(3, lines=(strange(1, status=LineStatus.DELIVERED),)), order(4, lines=(line(ship_by=past),)),
        order(5, lines=(strange(1, status=LineStatus.CANCELED),)), order(6, lines=(line(status=LineStatus.TO_ACCEPT),)),
    ], now=NOW)  # fmt: skip
    person = User.objects.create_user("ana@example.com", "pw")
    Membership.objects.create(user=person, client=client_dv, role=Role.OPS)
    browser = Browser()
    browser.force_login(person)
    today: Any = browser.get(HOME)
    rows = [row for row in today.context["conflicts"] if "/orders/stuck/" in row["url"]]
    assert [row["count"] for row in rows] == [3, 2, 1, 1]
    assert (rows[0]["lines"], rows[0]["to_ship"], rows[0]["late"]) == (4, 2, 1)
    said = " ".join(strip_tags(today.content.decode()).split())
    assert "Orders: unknown offer4 lines held · 2 still to ship, 1 late3Open" in said
    for row in rows:
        page = " ".join(strip_tags(browser.get(row["url"]).content.decode()).split())
        head = [
            re.search(rf"(\d+) {words}", page) for words in (r"orders? (?:has|have) to leave and do", r"waits? in the")
        ]
        assert sum(int(found[1]) for found in head if found) == row["count"], row["url"]
        lines = re.search(r"\((\d+) lines? held\)", page)
        assert (int(lines[1]) if lines else 0) == row.get("lines", 0), row["url"]
