"""*Are we paid?* of transfers: what is missing, what was transferred without lines, and fees nobody knows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.formats import date_format
from django.utils.timezone import now as clock

from finance.models import FeeRule, Receivable, Settlement
from finance.selectors.are_we_paid import absent_settlements
from finance.services.reconcile import reconcile
from finance.tests.desk import GOODS, HOME, open_sum, queries, text, today
from finance.tests.golden import article, dec, sold
from finance.tests.test_transfers import paid, week
from marketplaces.models import Account

pytestmark = pytest.mark.db


def ago(days: int) -> date:
    return today() - timedelta(days=days)


def weekly(of: Account, *, last: int, after: int) -> None:
    """Weekly statements until so many days ago, each transferred so many days after its end."""
    for weeks in range(5):
        paid(week(of, ago(last + 7 * weeks)), after=after)


def running(staff: Browser, query: str = "") -> Any:
    (each,) = (
        each
        for each in staff.get(f"{HOME}/paid/{query}").context["transfer_rows"]
        if each.transfer.evidence == "running"
    )
    return each


def main(staff: Browser) -> str:
    return " ".join(text(staff.get(f"{HOME}/paid/")).split())


@pytest.mark.parametrize(("after", "is_late"), [(5, False), (1, True)])
def test_a_missing_statement_is_told_by_the_rule_of_the_gaps_whenever_its_transfer_comes(
    amazon: Account, staff: Browser, after: int, is_late: bool
) -> None:
    # The next ended three days ago and is missing after two: told whether the money is awaited tomorrow or was before.
    weekly(amazon, last=10, after=after)
    (gap,) = (row for row in absent_settlements(today=ago(0)) if row.what == "after")
    each = running(staff)
    assert (each.transfer.is_late, each.missing_since) == (is_late, gap.due)
    assert f"its statement was due on {date_format(gap.due, 'j M')} and has not come" in main(staff)


def test_a_statement_in_its_days_of_grace_is_not_called_missing(amazon: Account, staff: Browser) -> None:
    weekly(amazon, last=8, after=0)  # ended yesterday, two days of grace
    assert absent_settlements(today=ago(0)) == []
    each = running(staff)
    assert each.transfer.is_late and each.missing_since is None
    assert "its days of grace are not over" in main(staff)


def test_what_was_transferred_before_its_lines_came_is_not_withheld(amazon: Account, staff: Browser) -> None:
    weekly(amazon, last=12, after=2)
    sold(amazon, "IN-IT", GOODS, sku=article(), on=ago(20))  # released ten days ago
    head = week(amazon, ago(5), "512.30", status="waiting")
    reconcile(now=clock())
    (gap,) = (row for row in absent_settlements(today=ago(0)) if row.what == "without_lines")
    assert (gap.blocked, gap.transferred, gap.transferred_on) == (dec("37.04"), None, None)
    assert "nothing is withheld" not in main(staff)
    paid(head, after=3)
    (gap,) = (row for row in absent_settlements(today=ago(0)) if row.what == "without_lines")
    assert (gap.blocked, gap.transferred, gap.transferred_on) == (dec("37.04"), dec("512.30"), ago(2))
    page = main(staff)
    assert f"was transferred for it on {date_format(ago(2), 'j M')}: nothing is withheld, only its lines" in page
    (words,) = (str(words) for words, amount, _url in running(staff).apart if amount == dec("37.04"))
    assert "transferred statement whose lines are not here" in words


def test_an_estimate_names_the_lines_whose_fees_nobody_knows(amazon: Account, staff: Browser) -> None:
    weekly(amazon, last=3, after=2)
    for number, sku in enumerate((article(), article("GARDEN", category="garden"), None)):
        sold(amazon, f"F-{number}", GOODS, sku=sku, on=ago(12))
    reconcile(now=clock())
    for query in ("", "?account=amazon-eu"):
        each = running(staff, query)
        row = each.transfer
        assert (row.lines, row.lines_without_fees) == (3, 2)
        # the garden piece lacks its referral fee alone, the piece nobody knows lacks both
        assert (row.amount, row.without_fees) == (
            dec("37.04") + dec("45.93") + dec("49.80"),
            dec("45.93") + dec("49.80"),
        )
        assert open_sum(staff, each.without_fees) == row.without_fees
    assert "on 2 lines whose fees are not known yet" in main(staff)
    FeeRule.objects.all().delete()
    reconcile(now=clock(), full=True)
    each = running(staff)
    assert each.transfer.lines_without_fees == 3, "a site without any rule tells no fee either"
    assert each.transfer.without_fees == each.transfer.amount == 3 * dec("49.80")
    assert Receivable.objects.count() == 3 and Settlement.objects.count() == 5


def test_an_estimate_of_known_fees_says_nothing_of_unknown_ones(amazon: Account, staff: Browser) -> None:
    weekly(amazon, last=3, after=2)
    sold(amazon, "K", GOODS, sku=article(), on=ago(12))
    reconcile(now=clock())
    assert running(staff).without_fees == "" and "not known yet" not in main(staff)


def test_unknown_fees_and_lines_not_here_take_a_fixed_number_of_queries(amazon: Account, staff: Browser) -> None:
    weekly(amazon, last=60, after=2)
    counts = []
    for first, size in ((0, 2), (2, 18)):
        for number in range(first, first + size):
            paid(week(amazon, ago(50 - number), status="waiting"))
            sold(amazon, f"U-{number}", GOODS, on=ago(30 - number))
        reconcile(now=clock())
        counts.append([queries(staff, f"{HOME}/paid/"), queries(staff, f"{HOME}/owed/?fees=unknown")])
    assert counts[0] == counts[1]
