"""Every page as a browser sees it: no errors, nothing from elsewhere, nothing that keeps people out."""

from __future__ import annotations

import pytest

from domventas.tests.browser.conftest import House, Watched

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]

PAGES = (
    "today", "monitor", "stream", "runbook", "pushes", "push_change", "raw", "sheet", "orders", "order", "stuck",
    "stuck_held", "tickets", "ticket", "are_we_paid", "are_we_paid_one", "entries", "owed", "findings", "settlements",
    "workbench", "files",
)  # fmt: skip
RICHEST = ("today", "stream", "order", "stuck_held", "tickets", "are_we_paid", "workbench", "findings", "files")
NARROW = {"width": 390, "height": 844}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_errors_strangers_or_barriers(name: str, eyes: Watched, house: House) -> None:
    eyes.open(f"/c/dom-ventas{house.paths[name]}")
    assert eyes.page.locator("h1").count() == 1, "one heading tells what the page is"
    assert not eyes.sways(), "wide tables scroll inside their panel"
    assert eyes.barriers() == []
    assert eyes.complaints == []


@pytest.mark.parametrize("name", RICHEST)
def test_the_richest_pages_hold_in_the_dark_and_on_a_phone(name: str, eyes: Watched, house: House) -> None:
    eyes.page.emulate_media(color_scheme="dark")
    eyes.open(f"/c/dom-ventas{house.paths[name]}")
    assert eyes.page.evaluate("document.documentElement.classList.contains('dark')")
    assert eyes.barriers() == [], "in the dark"
    eyes.page.set_viewport_size(NARROW)
    assert not eyes.sways(), "on a phone"
    eyes.page.emulate_media(color_scheme="light")
    assert eyes.barriers() == [], "on a phone"
    assert eyes.complaints == []


def test_filters_apply_when_they_are_changed_and_stay_in_the_address(eyes: Watched, house: House) -> None:
    eyes.open("/c/dom-ventas/system/monitor/")
    with eyes.page.expect_navigation():
        eyes.page.select_option("form[data-filters] select[name=flow]", "orders")
    assert eyes.page.url.endswith("/system/monitor/?flow=orders")
    assert eyes.page.locator("a.cell").count() == 1
    assert eyes.complaints == []


def test_a_stream_is_paused_by_a_click(eyes: Watched, house: House) -> None:
    eyes.open(f"/c/dom-ventas{house.paths['stream']}")
    with eyes.page.expect_navigation():
        eyes.page.click("#stream button[value=pause]")
    assert eyes.page.locator("#stream button[value=resume]").count() == 1
    assert "Paused: nothing is read" in eyes.page.inner_text("body")
    assert eyes.complaints == []
