"""The page of stuck orders: what a person reads, filters, takes home as a file, and does about it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.timezone import now as clock

from catalog.models import UnmappedItem
from domventas.core.models import Membership, User
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import Account, AccountSite, Quarantined, Site
from marketplaces.records import FeeKind, LineStatus, OrderLineRecord
from orders.models import Order, OrderException, OrderLine
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order
from orders.tests.test_admin import FORM, browser

PAGE = "/c/dom-ventas/orders/stuck/"


def strange(number: int = 1, sku: str = "corvo 1", **values: Any) -> OrderLineRecord:
    """A line of an offer nobody has mapped; its SKU can be guessed."""
    return line(number, offer_ref=sku, seller_sku=sku, title="Drill", **values)


def words(answer: Any) -> str:
    """What stands on the page, without marks, every gap one space."""
    assert answer.status_code == 200
    return " ".join(strip_tags(answer.content.decode()).split())


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.fixture
def desk(shop: Shop) -> Shop:
    """Late, soon, only in the books, odd; two sites, two currencies."""
    past, soon = clock() - timedelta(hours=30), clock() + timedelta(hours=6, minutes=30)
    site = {"site": "amazon.com", "currency": "USD"}
    for code in ("amazon.de", "amazon.com"):
        AccountSite.objects.create(account=shop.account, site=Site.objects.get(code=code))
    ingest(shop.account, [
        order("SOON", lines=(strange(ship_by=soon), strange(2, ship_by=soon))),
        order("LATE", lines=(line(ship_by=past),), **site),
        order("BOOKS", lines=(strange(status=LineStatus.DELIVERED, ship_by=past),), **site),
        order("ODD", total=Decimal(99), total_kinds=frozenset({FeeKind.ITEM_PRICE}),
              lines=(line(status=LineStatus.SHIPPED),)),
        order("FINE"),
    ], now=NOW)  # fmt: skip
    return shop


def test_a_stranger_reads_which_orders_are_stuck_why_how_urgent_and_what_to_do(desk: Shop, client_dv: Any) -> None:
    answer = browser(client_dv, "ops").get(PAGE)
    page = words(answer)
    assert 'href="/c/dom-ventas/system/runbooks/stuck-orders/"' in answer.content.decode()
    for told in (
        "2 orders have to leave and do not (1 late) · 2 wait in the books only", "OLATE", "30 h late",
        "OSOON", "6 h left", "OBOOKS", "only books",
        "99.00 EUR stated, 20.00 EUR in its lines", "raises the account&#x27;s late shipment rate",
        "must not leave before the offer is mapped", "cost and fees are unknown until the offer is mapped",
        "Map the offer to its SKU, once", "to ship", "delivered", "Amazon EU · amazon.com", "47.60 EUR", "23.80 USD",
    ):  # fmt: skip
        assert told.replace(" EUR", "\u202fEUR").replace(" USD", "\u202fUSD") in page or told in page, told
    assert "OFINE" not in page
    assert page.index("OLATE") < page.index("OSOON") < page.index("OBOOKS")


def test_filters_and_sorts_survive_into_the_file(desk: Shop, client_dv: Any) -> None:
    staff = browser(client_dv, "ops")
    every = rows_of(staff.get(f"{PAGE}?format=csv"))
    assert [row["order"] for row in every] == ["OLATE", "OSOON", "OBOOKS", "OODD"]
    late = every[0]
    assert (late["status"], late["urgency"], late["reasons"]) == (
        "to_ship", "past its ship-by date", "past its ship-by date",
    )  # fmt: skip
    assert (late["value"], late["currency"], -30.1 < float(late["hours left"]) < -29.9) == ("23.8000", "USD", True)
    assert every[1]["held lines"] == "2" and "Map the offer" in every[1]["next step"] and every[2]["hours left"] == ""
    for query, names in {
        "reason=held": ["OSOON", "OBOOKS"], "urgency=books": ["OBOOKS", "OODD"], "site=amazon.de": ["OSOON", "OODD"],
        "account=amazon-eu&reason=late": ["OLATE"], "offer=corvo 1&urgency=soon": ["OSOON"],
        "sort=value": ["OODD", "OSOON", "OBOOKS", "OLATE"], "reason=total&site=amazon.com": [],
    }.items():  # fmt: skip
        page = staff.get(f"{PAGE}?{query}")
        shown = [row.order.external_id for row in page.context["rows"]]
        file = [row["order"] for row in rows_of(staff.get(page.context["filters"].csv_url))]
        assert (sorted(shown), file) == (sorted(names), shown), query
        assert "sort=" in query or shown == names, query


def test_held_offers_are_freed_from_the_page_itself(desk: Shop, client_dv: Any) -> None:
    staff = browser(client_dv, "catalog")
    page = staff.get(f"{PAGE}?reason=held")
    text, item = page.content.decode(), UnmappedItem.objects.get()
    assert "Map to CORVO-1" in text and f'action="/c/dom-ventas/admin/catalog/unmappeditem/{item.pk}/map/"' in text
    assert [(offer.site, offer.orders, offer.lines) for offer, _url in page.context["offers"]] == [
        ("amazon.de", 1, 2), ("amazon.com", 1, 1),
    ]  # fmt: skip
    narrowed = staff.get(page.context["offers"][0][1].partition("#")[0])
    assert [row.order.external_id for row in narrowed.context["rows"]] == ["OSOON"]
    file = rows_of(staff.get(page.context["offers_csv"]))
    assert [(row["seller sku"], row["orders"], row["suggested sku"]) for row in file] == [
        ("corvo 1", "1", "CORVO-1")
    ] * 2
    back = f"{PAGE}?reason=held"
    done = staff.post(f"/c/dom-ventas/admin/catalog/unmappeditem/{item.pk}/map/", FORM | {"next": back})
    assert (done.status_code, done["Location"]) == (302, back)
    after = words(staff.get(back))
    assert "No stuck order with these filters." in after and "See all that are stuck" in after
    with acting_for(client_dv):
        assert not OrderLine.objects.exclude(hold="").exists()


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_a_mapping_never_leads_out_of_the_house(desk: Shop, client_dv: Any, where: str) -> None:
    path = f"/c/dom-ventas/admin/catalog/unmappeditem/{UnmappedItem.objects.get().pk}/map/"
    done = browser(client_dv, "catalog").post(path, FORM | {"next": where})
    assert done["Location"] == "/c/dom-ventas/admin/catalog/unmappeditem/"


def test_who_may_not_map_is_told_who_may(desk: Shop, client_dv: Any, client2: Any) -> None:
    for name, client in {"cara@example.com": client_dv, "elsewhere@example.com": client2}.items():
        Membership.objects.create(user=User.objects.create_user(name, "pw"), client=client, role="catalog")
    staff = browser(client_dv, "ops")
    page = words(staff.get(PAGE))
    assert "Map to CORVO-1" not in page and "Map the offer to" in page
    told = "Mapping an offer is for people with the role catalog. Here: cara@example.com."
    assert told in page and "elsewhere" not in page and "By design administrators" not in page
    item = words(staff.get(f"/c/dom-ventas/admin/catalog/unmappeditem/{UnmappedItem.objects.get().pk}/change/"))
    assert told in item and "elsewhere" not in item
    assert "Mapping an offer is for" not in words(browser(client_dv, "catalog").get(PAGE))


def test_an_administrator_is_told_that_he_gives_the_right_and_does_not_use_it(desk: Shop, client_dv: Any) -> None:
    page = words(browser(client_dv, "admin").get(PAGE))
    assert "role catalog. Nobody here has it yet. By design administrators do not do it themselves" in page
    assert "Confirming a parcel is for people with one of the roles operations, warehouse." in page


def test_a_row_leads_to_the_unmapped_item_of_its_own_account(desk: Shop, client_dv: Any) -> None:
    other = make(Account, code="amazon-two", channel="amazon", name="Amazon Two")
    make(UnmappedItem, account=other, offer_ref="corvo 1", state="open")
    mine = UnmappedItem.objects.get(account=desk.account)
    url = f"/c/dom-ventas/admin/catalog/unmappeditem/{mine.pk}/change/"
    for role, label in {"ops": "See the offer", "catalog": "Map the offer"}.items():
        rows = browser(client_dv, role).get(f"{PAGE}?reason=held").context["rows"]
        ways = [(way.url, way.label) for row in rows for why in row.whys for way in why.ways]
        assert ways == [(url, label)] * 2
    order_page = browser(client_dv, "finance").get(f"/c/dom-ventas/orders/{rows[0].order.pk}/")
    assert url in order_page.content.decode()


def test_a_late_order_has_its_button_or_says_whose_it_is(desk: Shop, client_dv: Any) -> None:
    late = Order.objects.get(external_id="OLATE")
    ship = f"/c/dom-ventas{reverse('orders:ship', args=[late.pk])}"
    ops, finance = browser(client_dv, "ops"), browser(client_dv, "finance")
    for place in (f"{PAGE}?reason=late", f"/c/dom-ventas{reverse('orders:order', args=[late.pk])}"):
        may = ops.get(place).content.decode()
        assert f'href="{ship}"' in may and "Confirming a parcel is for" not in may
        told = finance.get(place)
        assert f'href="{ship}"' not in told.content.decode()
        assert "one of the roles operations, warehouse. Here: ops@example.com." in words(told)


def test_the_first_offers_stand_above_the_orders_and_lead_to_all(shop: Shop, client_dv: Any) -> None:
    def more(numbers: range, **values: Any) -> None:
        with acting_for(client_dv):
            ingest(shop.account, [order(n, lines=(strange(1, f"S{n % 10}"),), **values) for n in numbers], now=NOW)

    more(range(10))
    staff = browser(client_dv, "catalog")
    page = staff.get(PAGE)
    assert (len(page.context["offers"]), page.context["offer_count"]) == (10, 10), "two more are not worth a click"
    more(range(10, 12), site="amazon.com", currency="USD")
    page = staff.get(PAGE)
    assert (len(page.context["offers"]), page.context["offer_count"]) == (8, 10), "an offer of two sites is one offer"
    assert "10 unknown offers" in words(page) and "All 12 rows of unknown offers" in words(page)
    assert len(staff.get(page.context["offers_url"]).context["offers"]) == 12
    assert len(rows_of(staff.get(page.context["offers_csv"]))) == 12
    assert staff.get(f"{PAGE}?reason=late").context["offers"] == []


def test_what_is_odd_is_seen_to_from_its_row(desk: Shop, client_dv: Any, client2: Any) -> None:
    staff = browser(client_dv, "ops")
    key = OrderException.objects.get().order_id
    assert f'name="order" value="{key}"' in staff.get(f"{PAGE}?reason=total").content.decode()
    assert browser(client_dv, "auditor").post(f"{PAGE}seen/", FORM | {"order": key}).status_code == 403
    user = User.objects.create_user("other@example.com", "a long password")
    Membership.objects.create(user=user, client=client2, role="ops")
    staff.force_login(user)
    staff.post(f"/c/{client2.slug}/orders/stuck/seen/", {"_client": client2.slug, "order": key})
    with acting_for(client_dv):
        assert OrderException.objects.get().resolved_at is None
    staff.force_login(User.objects.get(email="ops@example.com"))
    done = staff.post(f"{PAGE}seen/?reason=total", FORM | {"order": [key, "nonsense", "9" * 30]})
    assert done["Location"] == f"{PAGE}?reason=total"
    with acting_for(client_dv):
        assert OrderException.objects.get().resolved_by == "ops@example.com"
    assert "OODD" not in words(staff.get(PAGE))


def test_an_empty_page_says_what_to_do_next(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [order("FINE")], now=NOW)
    page = browser(client_dv, "ops").get(PAGE)
    assert "No order is stuck" in words(page) and "/tickets/?type=unshipped_order" in page.content.decode()


def test_records_without_an_order_are_told_beside_the_figures(shop: Shop, client_dv: Any) -> None:
    make(Quarantined, account=shop.account, flow="orders", external_id="O-unread")
    page = browser(client_dv, "ops").get(PAGE)
    assert "1 record of an order could not be read at all" in words(page)
    link = "/c/dom-ventas/admin/marketplaces/quarantined/?flow=orders&resolved_at__isempty=1"
    assert link.replace("&", "&amp;") in page.content.decode()
    assert "O-unread" in browser(client_dv, "auditor").get(link).content.decode()


@pytest.mark.parametrize("query", ["", "?reason=held", "?format=csv", "?reason=held&format=csv&table=offers"])
def test_the_page_asks_the_same_number_of_queries_for_two_and_for_twenty(
    shop: Shop, client_dv: Any, query: str
) -> None:
    staff, past = browser(client_dv, "catalog"), clock() - timedelta(hours=3)

    def more(numbers: range) -> None:
        with acting_for(client_dv):
            ingest(shop.account, [
                order(n, lines=(strange(1, f"S{n}", ship_by=past), strange(2, "ALL")), total=Decimal(n),
                      total_kinds=frozenset({FeeKind.ITEM_PRICE})) for n in numbers
            ], now=NOW)  # fmt: skip

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(f"{PAGE}{query}").status_code == 200
        return len(asked)

    more(range(2))
    queries()
    few = queries()
    more(range(2, 20))
    assert queries() == few
