"""Pages are read and worked with where no script runs: the shell shows itself, filters and buttons are plain forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from domventas.core.models import User
from domventas.tests.browser.conftest import House

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def plain(chromium: Any, house: House, live_server: Any) -> Iterator[Any]:
    """A signed-in person's window in a browser that runs no scripts."""
    signed_in = Browser()
    signed_in.force_login(User.objects.get(email="admin@example.com"))
    context = chromium.new_context(java_script_enabled=False, base_url=live_server.url)
    cookie = {"name": "sessionid", "value": signed_in.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["today", "stuck", "orders", "order", "tickets", "ticket", "monitor"])
def test_a_page_shows_itself_and_nothing_lies_over_it(plain: Any, house: House, name: str) -> None:
    plain.goto(f"/c/dom-ventas{house.paths[name]}")
    link = plain.locator("main a:visible, #changelist a:visible").first
    assert link.is_visible()
    link.click(trial=True, timeout=30_000)


def test_a_person_signs_in_without_a_script(plain: Any) -> None:
    plain.context.clear_cookies()
    plain.goto("/admin/login/")
    plain.fill("input[name=username]", "admin@example.com", timeout=30_000)
    plain.fill("input[name=password]", "a long password")
    plain.press("input[name=password]", "Enter")
    assert plain.locator("h1").first.is_visible() and "/login/" not in plain.url


def test_stuck_orders_are_narrowed_sorted_and_followed_to_their_offer(plain: Any, house: House) -> None:
    plain.goto(f"/c/dom-ventas{house.paths['stuck']}")
    plain.select_option("select[name=reason]", "held")
    plain.select_option("select[name=sort]", "newest")
    plain.click("form.filters button", timeout=30_000)
    assert "reason=held" in plain.url and "sort=newest" in plain.url
    assert plain.locator("#orders [data-row]").count() == 2
    plain.locator("section[aria-label='By offer'] td a").first.click(timeout=30_000)
    assert "offer=ALBA-1" in plain.url and plain.locator("#orders [data-row]").count() == 2
