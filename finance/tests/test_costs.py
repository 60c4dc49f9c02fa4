"""A unit's cost on a past day, and price lists that contradict themselves."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Sku
from finance.models import SkuCost
from finance.selectors.costs import cost_of, costs_of
from finance.services.costs import CostRow, LoadedCosts, load_costs
from finance.testing import sku
from finance.tests.test_settlements import tuples_written

pytestmark = pytest.mark.db

MARCH, MAY = date(2026, 3, 1), date(2026, 5, 1)


def row(number: int = 1, **more: Any) -> CostRow:
    """A row of a price list for ALB-1 from 1 March 2026."""
    values: dict[str, Any] = {"sku": "ALB-1", "currency": "EUR", "valid_from": MARCH, "purchase": Decimal("4.20")}
    return CostRow(row=number, **{**values, **more})


@pytest.fixture
def lamp(acting: Any) -> Sku:
    """The SKU ALB-1."""
    return sku()


def load(*rows: CostRow) -> LoadedCosts:
    """Load them; none may be refused."""
    done = load_costs(rows)
    assert not done.refused
    return done


def test_a_past_day_gets_the_cost_valid_then(lamp: Sku) -> None:
    load(row(1, valid_to=MAY), row(2, valid_from=MAY, purchase=Decimal("4.80"), customs=Decimal("0.25")))
    before, after = cost_of(lamp.pk, date(2026, 4, 30)), cost_of(lamp.pk, MAY)
    assert before is not None and before.total == Decimal("4.20")
    assert after is not None and after.total == Decimal("5.05")


def test_no_cost_is_unknown_and_not_nothing(lamp: Sku) -> None:
    load(row(valid_to=MAY))
    assert cost_of(lamp.pk, date(2026, 2, 28)) is None
    assert cost_of(lamp.pk, MAY) is None


def test_the_warehouses_own_cost_wins_over_the_one_for_everywhere(lamp: Sku) -> None:
    load(row(1), row(2, warehouse="VENLO", purchase=Decimal("4.00")))
    at = {place: cost_of(lamp.pk, MAY, warehouse=place) for place in ("VENLO", "IZMIR", "")}
    assert {place: cost and cost.purchase for place, cost in at.items()} == {
        "VENLO": Decimal("4.00"), "IZMIR": Decimal("4.20"), "": Decimal("4.20"),
    }  # fmt: skip


def test_the_vendor_asked_for_wins_over_any_vendor_and_that_over_another(lamp: Sku) -> None:
    load(row(1, vendor="ACME", purchase=Decimal("4.00")), row(2, valid_from=date(2026, 4, 1)))
    found = {vendor: cost_of(lamp.pk, MAY, vendor=vendor) for vendor in ("ACME", "OTHER", None)}
    assert {vendor: cost and cost.purchase for vendor, cost in found.items()} == {
        "ACME": Decimal("4.00"), "OTHER": Decimal("4.20"), None: Decimal("4.20"),
    }  # fmt: skip


@pytest.mark.parametrize(("recoverable", "total"), [(True, "4.20"), (False, "4.998")])
def test_tax_is_a_cost_only_where_it_cannot_be_recovered(lamp: Sku, recoverable: bool, total: str) -> None:
    load(row(vat_rate=Decimal("0.19"), is_vat_recoverable=recoverable))
    cost = cost_of(lamp.pk, MAY)
    assert cost is not None and cost.total == Decimal(total)


@pytest.mark.parametrize(
    ("rows", "field", "message"),
    [
        ([row(sku="NOPE")], "sku", "There is no SKU NOPE."),
        ([row(currency="EUX")], "currency", "EUX is not a currency code."),
        ([row(valid_to=MARCH)], "valid_to", "It would end (2026-03-01) before it begins (2026-03-01)."),
        ([row(customs=Decimal("-1"))], "customs", "A cost is not negative."),
        ([row(1), row(2, valid_from=MAY)], "valid_from", "Overlaps row 1 of this list: both hold on 2026-05-01."),
    ],
)
def test_contradictions_are_refused_in_words(lamp: Sku, rows: list[CostRow], field: str, message: str) -> None:
    refused = load_costs(rows).refused
    assert [(each.row, each.field, each.message) for each in refused] == [(rows[-1].row, field, message)]
    assert not SkuCost.objects.exists()


def test_an_overlap_with_a_stored_cost_says_which(lamp: Sku) -> None:
    load(row())
    refused = load_costs([row(7, valid_from=MAY)]).refused
    assert [(each.row, each.message) for each in refused] == [
        (7, "Overlaps the stored cost valid from 2026-03-01 to …; end that one first.")
    ]


def test_a_list_that_ends_the_old_cost_and_begins_the_new_one_is_loaded(lamp: Sku) -> None:
    load(row())
    done = load(row(1, valid_to=MAY), row(2, valid_from=MAY, purchase=Decimal("4.80")))
    assert (done.inserted, done.updated, done.unchanged) == (1, 1, 0)
    before = tuples_written()
    again = load(row(1, valid_to=MAY), row(2, valid_from=MAY, purchase=Decimal("4.80")))
    assert (again.unchanged, tuples_written()) == (2, before)


def test_the_database_itself_refuses_two_costs_for_one_day(lamp: Sku) -> None:
    load(row())
    with pytest.raises(IntegrityError, match="skucost_key_valid_excl"):
        SkuCost.objects.create(sku=lamp, currency="EUR", purchase=1, valid=row(valid_from=MAY).valid)


def test_many_costs_take_one_query(lamp: Sku) -> None:
    load(row())
    with CaptureQueriesContext(connection) as queries:
        found = costs_of([(lamp.pk, MAY, place) for place in ("", "A", "B", "C")])
    assert (len(found), len(queries)) == (4, 1)
