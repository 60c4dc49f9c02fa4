"""A weight or a category somebody corrects counts for what was sold before: gaps close, and false findings go."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client as Browser

from catalog.models import Product, Sku
from catalog.services.products import ProductRow, load_products
from domventas.core.models import Client
from domventas.core.roles import Role
from finance.models import Discrepancy, RuleGap
from finance.services.reconcile import reconcile
from finance.tests.desk import RIGHT, browser
from finance.tests.golden import NOW, article, settled, sold, verdicts
from marketplaces.models import Account
from orders.models import OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}


def wrong(of: Account, sku: Sku) -> OrderLine:
    """A line of long ago, rightly charged, whose fees look wrong by what is known of the SKU; others came later."""
    line = sold(of, "O-1", GOODS, sku=sku)
    settled(of, [(line, "sale", kind, amount) for kind, amount in RIGHT.items()])
    later = sold(of, "O-2", GOODS, sku=article("OTHER"), on=date(2026, 11, 19))
    OrderLine.objects.filter(pk=later.pk).update(changed_at=datetime(2026, 11, 20, 5, tzinfo=UTC))
    reconcile(now=NOW)
    assert Discrepancy.objects.exists() or RuleGap.objects.exists()
    return line


def is_right(line: OrderLine) -> None:
    """The next run finds nothing wrong, as one that judges everything would."""
    reconcile(now=NOW)
    assert set(verdicts(line).values()) == {"reconciled"}
    assert not Discrepancy.objects.filter(state="open").exists()
    assert not RuleGap.objects.exists()
    assert reconcile(now=NOW, full=True).written == 0


@pytest.mark.parametrize("known", [{"weight_g": None}, {"weight_g": 700}, {"category": "garden"}])
def test_what_a_load_of_the_product_master_corrects_is_judged_anew(amazon: Account, known: dict[str, Any]) -> None:
    line = wrong(amazon, article("X", **known))
    row = ProductRow(sku="X", brand="alba", product="X", title="X", name="X", category="home_kitchen", weight_g=400)
    load_products([row], now=NOW)
    is_right(line)


@pytest.mark.parametrize(
    ("known", "form", "values"),
    [
        ({"weight_g": 700}, "sku", {"weight_g": "400"}),
        ({"category": "garden"}, "product", {"category": "home_kitchen"}),
        ({"weight_g": None}, "product", {"skus-0-weight_g": "400"}),
    ],
)
def test_what_a_person_corrects_is_judged_anew(
    amazon: Account, client_dv: Client, known: dict[str, Any], form: str, values: dict[str, str]
) -> None:
    sku = article("X", **known)
    line = wrong(amazon, sku)
    staff: Browser = browser(client_dv, Role.CATALOG)
    target: Sku | Product = sku if form == "sku" else sku.product
    url = f"/c/{client_dv.slug}/admin/catalog/{form}/{target.pk}/change/"
    drawn = staff.get(url)
    said = {name: value for name, value in _said(drawn) if value is not None}
    assert staff.post(url, {**said, **values, "_client": client_dv.slug}).status_code == 302
    is_right(line)


def _said(drawn: Any) -> Any:
    """What the form would say if nobody changed anything."""
    forms = [drawn.context["adminform"].form]
    for formset in drawn.context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.initial_forms]
    for form in forms:
        for field in form:
            value = field.value()
            yield field.html_name, value if value is None or isinstance(value, str) else str(value)
