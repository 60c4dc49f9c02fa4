"""Pages: filters that live in the address, fragments for HTMX, parts contributed by other apps."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.test import RequestFactory

from domventas.core import pages, panels
from domventas.core.panels import Panel


class Filters(pages.GetForm):
    state = forms.ChoiceField(label="State", choices=[("", "any"), ("open", "open")], required=False)
    days = forms.IntegerField(label="Days", initial=30, min_value=1)


def ask(path: str, **attributes: Any) -> Any:
    request = RequestFactory().get(path)
    request.__dict__.update(attributes)
    return request


def test_filters_come_from_the_address_and_else_from_their_initial_value() -> None:
    assert Filters(ask("/x/?state=open").GET).values == {"state": "open", "days": 30}
    assert Filters(ask("/x/?days=7").GET).values == {"state": None, "days": 7}


@pytest.mark.parametrize("query", ["state=gone&days=0", "days=many", "days=", "odd=1"])
def test_an_old_link_with_values_nobody_offers_still_opens(query: str) -> None:
    assert Filters(ask(f"/x/?{query}").GET).values == {"state": None, "days": 30}


def test_the_strip_says_what_is_set_and_where_the_csv_is() -> None:
    request = ask("/x/?state=open&page=2")
    strip = Filters(request.GET).strip(request, csv=True)
    assert [(field.name, field.value, field.is_set) for field in strip.fields] == [
        ("state", "open", True),
        ("days", "30", False),
    ]
    assert strip.fields[0].choices == [("", "any"), ("open", "open")]
    assert (strip.path, strip.csv_url) == ("/x/", "/x/?state=open&page=2&format=csv")


def test_an_address_is_changed_parameter_by_parameter() -> None:
    request = ask("/x/?state=open&page=2")
    assert pages.with_query(request, page=3) == "/x/?state=open&page=3"
    assert pages.with_query(request, page=None, state=None) == "/x/"


@pytest.mark.parametrize(
    ("htmx", "fragment"),
    [(None, False), (SimpleNamespace(boosted=False), True), (SimpleNamespace(boosted=True), False)],
)
def test_a_fragment_is_for_htmx_but_not_for_boosted_links(htmx: Any, fragment: bool) -> None:
    assert pages.is_fragment(ask("/x/", htmx=htmx)) is fragment


@pytest.fixture
def shelf() -> Iterator[None]:
    """The panels as they were before the test."""
    before = dict(panels._panels)
    yield
    panels._panels.clear()
    panels._panels.update(before)


def panel(name: str, order: int = 100, perm: str = "") -> Panel:
    return Panel(
        page="a.page", name=name, title=name, template="x.html", rows=lambda r, s: {"of": s}, order=order, perm=perm
    )


def test_panels_stand_in_their_order_and_only_where_they_may_be_seen(shelf: None) -> None:
    for one in (panel("late", 200), panel("secret", perm="finance.view_settlement"), panel("early", 10)):
        panels.register(one)
    nobody = ask("/x/", user=SimpleNamespace(has_perm=lambda perm: False))
    assert [(d.panel.name, d.data) for d in panels.draw(nobody, "a.page", 7)] == [
        ("early", {"of": 7}),
        ("late", {"of": 7}),
    ]
    finance = ask("/x/", user=SimpleNamespace(has_perm=lambda perm: perm == "finance.view_settlement"))
    assert [d.panel.name for d in panels.draw(finance, "a.page")] == ["early", "secret", "late"]


def test_two_panels_of_one_name_on_a_page_are_refused(shelf: None) -> None:
    panels.register(panel("same"))
    with pytest.raises(ValueError, match="two panels 'same'"):
        panels.register(panel("same", 5))
