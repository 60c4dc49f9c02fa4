"""Attacks in every text of every table, and every page opened in a browser: none of them runs."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import transaction
from django.urls import reverse

from domventas.core import tenancy
from domventas.core.models import Membership
from domventas.core.roles import Role, may
from domventas.tests import poison
from domventas.tests.browser.conftest import House, Watched
from domventas.tests.poison import MARK, PAYLOADS, SCARS, SHORT
from domventas.tests.walk import label, pages
from finance.models import ReconcileMark

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


def test_the_browser_runs_attacks_that_stand_as_they_are(chromium: Any) -> None:
    """Else the walk below could not fail."""
    page, ran = chromium.new_page(), 0
    for payload in PAYLOADS:
        page.goto("about:blank")
        page.set_content(f'<p title="x">{payload}</p>')
        page.wait_for_timeout(50)
        ran += page.evaluate(f"window.{MARK} === 1")
    for short in SHORT:
        told = escape(short)
        page.set_content(f'<p title=\'{told}\'>{told}</p><a title="{told}" href="/?q={told}">{told}</a>')
        assert page.evaluate(SCARS) == []
        page.set_content(f"<p title='{short}'>{short}</p><p title=\"{short}\">x</p>")
        assert page.evaluate(SCARS) or short == "<", short
    page.close()
    assert ran >= 8


@pytest.mark.parametrize("choices", [False, True], ids=["texts", "choices"])
def test_no_attack_runs_on_any_page_or_changes_it(choices: bool, eyes: Watched, house: House) -> None:
    with tenancy.acting_for(house.client), transaction.atomic():
        ReconcileMark.objects.all().delete()  # a client has one, and a poisoned one is made
        rows = poison.house(3, choices=choices)
    opened = sum(_is_safe(eyes, path) for role, path in _addresses(rows) if _acts_as(role))
    assert opened > 100


def _acts_as(role: Role) -> bool:
    Membership.objects.update(role=role)
    return True


def _addresses(rows: dict[Any, Any]) -> list[tuple[Role, str]]:
    """Every list and form of the admin and every page, with the first role that may see it."""
    found = [(Role.ADMIN, reverse("admin:core_membership_changelist"))]
    for model, row in rows.items():
        if model not in site._registry:
            continue
        role = next((role for role in (Role.ADMIN, *Role) if may(role, "view", label(model))), Role.ADMIN)
        base = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        found += [(role, base), (role, f"{base}{row.pk}/change/")]
    for name, url in pages():
        numbers = {getattr(row, "number", row.pk) for row in rows.values()} if url.pattern.converters else {0}
        for number in numbers:
            found.append((Role.ADMIN, reverse(name, kwargs=dict.fromkeys(url.pattern.converters, number))))
    return found


def _is_safe(eyes: Watched, path: str) -> bool:
    """Open one page and look whether anything ran or was complained about; False = it is no page for this row."""
    eyes.complaints.clear()
    address = f"{eyes.base}/c/dom-ventas{path}"
    told = eyes.page.context.request.get(address)  # with the same cookies; a page without a body upsets the browser
    assert told.status < 500, f"{path} breaks"
    if told.status != 200 or not told.headers["content-type"].startswith("text/html"):
        return False
    eyes.page.goto(address, wait_until="load")
    eyes.page.wait_for_timeout(60)
    assert eyes.page.evaluate(f"window.{MARK} === undefined"), f"an attack ran on {path}"
    assert eyes.page.evaluate(SCARS) == [], f"an attack changed {path}"
    wrong = [one for one in eyes.complaints if "favicon" not in one]
    assert wrong == [], f"{path}: {wrong}"
    return True
