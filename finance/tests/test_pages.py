"""The money pages: they open for those who may, in as many queries for two rows as for twenty, and add up."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.html import escape
from django.utils.timezone import now as clock

from domventas.core.models import Client
from domventas.core.roles import Role
from finance.models import Discrepancy, FeeRule, Settlement, SkuCost
from finance.pages import paid_tables
from finance.selectors import workbench
from finance.selectors.coverage import cost_coverage
from finance.services.reconcile import reconcile
from finance.services.reference import sync_reference
from finance.testing import account
from finance.tests.desk import GOODS, HOME, RIGHT, browser, overcharged, queries, rows_of, text, today
from finance.tests.golden import ALWAYS, NOW, article, rules, settled, sold
from marketplaces.models import Account

pytestmark = pytest.mark.db

PAGES = ("paid/", "settlements/", "findings/", "owed/", "owed/?state=all")


def post(person: Browser, path: str, data: dict[str, Any], **how: Any) -> Any:
    """Send a form as the page does: it says for which client it was drawn."""
    return person.post(path, {"_client": "dom-ventas", **data}, **how)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def test_every_page_opens_on_an_empty_house(client_dv: Client, staff: Browser) -> None:
    for path in PAGES:
        assert staff.get(f"{HOME}/{path}").status_code == 200, path


def test_twenty_rows_take_no_more_queries_than_two(amazon: Account, staff: Browser) -> None:
    head = overcharged(amazon, 2)
    paths = [f"{HOME}/{path}" for path in PAGES] + [f"{HOME}/settlements/{head.pk}/"]
    before = [queries(staff, path) for path in paths]
    second = overcharged(amazon, 20, ref="S2")
    assert [queries(staff, path) for path in paths] == before
    assert queries(staff, f"{HOME}/settlements/{second.pk}/") <= before[-1] + 1, "a neighbor more"


def test_the_roll_forward_is_told_with_what_nobody_can_explain(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 2)
    page = text(staff.get(f"{HOME}/paid/?from=2026-09-01&to=2026-10-31"))
    for word in (
        "Owed on 31 Oct 2026, EUR",
        ">unexplained, 1 Sep – 31 Oct<",
        "fee above the rule",
        'id="findings"',
        'id="gaps"',
        "How is this computed",
    ):
        assert word in page
    balance = rows_of(staff.get(f"{HOME}/paid/?format=csv&table=balance&from=2026-09-01&to=2026-10-31"))
    row = dict(zip(balance[0], balance[1], strict=True))
    parts = ("opening", "sales", "refunds", "fees", "withheld", "payouts", "unexplained", "awaiting order")
    assert sum(Decimal(row[part]) for part in parts) == Decimal(row["closing"])
    assert Decimal(row["sales"]) == Decimal("149.40")


def test_each_week_links_to_lines_that_add_up_to_it(amazon: Account, staff: Browser) -> None:
    for number, days in enumerate((1, 4, 9, 12)):
        sold(amazon, f"W-{number}", GOODS, sku=article(), on=today() - timedelta(days=days))
    reconcile(now=clock())
    answer = staff.get(f"{HOME}/paid/")
    cells = [cell for _row, _url, cells in answer.context["coming"] for cell in cells if cell[0]]
    assert cells, "something is to come"
    for amount, url in cells:
        head, *rows = rows_of(staff.get(f"{url}&format=csv"))
        assert sum(Decimal(dict(zip(head, row, strict=True))["open"]) for row in rows) == amount


def test_an_account_is_told_by_its_sites_and_each_figure_leads_to_its_own_lines(staff: Browser, acting: Any) -> None:
    for site in ("amazon.de", "amazon.fr"):
        rules(site)
    both = account("amazon-eu", sites=["amazon.de", "amazon.fr"])
    for number, at in enumerate(("amazon.de", "amazon.de", "amazon.fr")):
        sold(both, f"S-{number}", GOODS, at=at, sku=article(), on=today() - timedelta(days=3 + 20 * number))
    reconcile(now=clock())
    answer = staff.get(f"{HOME}/paid/?account=amazon-eu")
    rows = answer.context["coming"]
    assert [row.site for row, _url, _cells in rows] == ["amazon.de", "amazon.fr"]
    assert "per currency and site" in text(answer)
    assert "choose an account to see its sites" in text(staff.get(f"{HOME}/paid/"))
    for row, url, cells in rows:
        assert row.total > 0
        figures = [(row.total, url), (row.overdue, f"{url}&state=overdue"), *cells]
        for amount, address in figures:
            head, *lines = rows_of(staff.get(f"{address}&format=csv"))
            told = [dict(zip(head, line, strict=True)) for line in lines]
            assert {line["site"] for line in told} <= {row.site}
            assert sum((Decimal(line["open"]) for line in told), Decimal(0)) == (amount or 0)


def test_what_nobody_has_proved_is_no_evidence_yet_and_not_overdue(amazon: Account, staff: Browser) -> None:
    otto = account("otto-de", sites=["otto.de"])
    sync_reference("otto")
    for number in range(2):
        sold(otto, f"P-{number}", {"item_price": "100.00", "item_tax": "19.00"}, at="otto.de", sku=article(),
             fulfillment="seller", delivered=False)  # fmt: skip
    reconcile(now=clock())
    answer = staff.get(f"{HOME}/paid/?account=otto-de")
    shown = " ".join(text(answer).replace("\u202f", " ").split())
    assert "otto-de: no evidence yet" in shown
    assert "2 shipped lines that no statement covers" in shown
    assert answer.context["overdue"] == []
    (row,) = answer.context["weeks"]
    assert row.site == "otto.de"
    ((_row, url, _cells),) = answer.context["coming"]
    head, *rows = rows_of(staff.get(f"{url}&format=csv"))
    assert sum(Decimal(dict(zip(head, each, strict=True))["open"]) for each in rows) == row.total
    # Twice 119.00, less 14 % commission and its VAT.
    assert (row.overdue, row.unproved, row.total) == (None, Decimal("198.34"), Decimal("198.34"))
    head, *rows = rows_of(staff.get(f"{HOME}/owed/?account=otto-de&state=no_evidence&format=csv"))
    assert [dict(zip(head, each, strict=True))["state"] for each in rows] == ["no_evidence", "no_evidence"]
    gaps = rows_of(staff.get(f"{HOME}/paid/?format=csv&table=gaps"))
    assert ["no evidence yet", "otto-de", "2026-09-11", "2", "198.3400", "EUR"] in [each[:6] for each in gaps]


def test_a_page_of_another_account_shows_nothing_of_this_one(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 2)
    account("amazon-us", sites=["amazon.com"])
    rows = rows_of(staff.get(f"{HOME}/paid/?format=csv&table=findings&account=amazon-us"))
    assert len(rows) == 1, "only the head"
    assert len(rows_of(staff.get(f"{HOME}/paid/?format=csv&table=findings&account=amazon-eu"))) > 1


def test_the_proof_strip_adds_up_to_the_header(amazon: Account, staff: Browser) -> None:
    head = overcharged(amazon, 3)
    answer = staff.get(f"{HOME}/settlements/{head.pk}/")
    proof = answer.context["proof"]
    assert sum(part.amount for _label, part, _pattern, _url in proof["parts"]) == head.header_total == proof["header"]
    assert proof["is_equal"] and "add up" in text(answer)
    shown = [cell.replace("−", "-") for cell in re.findall(r'<div class="fig[^"]*">([^<]*)</div>', text(answer))]
    assert sum(Decimal(cell) for cell in shown[:-1]) == Decimal(shown[-1])


def test_a_header_that_differs_is_said_on_its_page(amazon: Account, staff: Browser) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article())
    head = settled(amazon, [(line, "sale", kind, amount) for kind, amount in RIGHT.items()], total="40.00")
    Settlement.objects.filter(pk=head.pk).update(status="inconsistent", difference=Decimal("2.96"))
    reconcile(now=NOW)
    page = text(staff.get(f"{HOME}/settlements/{head.pk}/"))
    assert "The header differs from its lines by 2.96" in page.replace("\u202f", " ")
    assert escape("header differs from its lines") in page


def test_the_line_opened_tells_its_rule_and_formula(amazon: Account, staff: Browser) -> None:
    head = overcharged(amazon, 2)
    wrong = head.lines.filter(state="discrepancy").order_by("ordinal").last()
    assert wrong
    page = text(staff.get(f"{HOME}/settlements/{head.pk}/?line={wrong.pk}"))
    for word in (wrong.order_ref, "source: test", "Tolerance 0.02", "15", "Candidate causes"):
        assert word in page.replace("\u202f", " "), word


def test_ticked_lines_are_claimed_and_the_others_stay_open(amazon: Account, staff: Browser) -> None:
    head = overcharged(amazon, 3)
    line = head.lines.filter(state="discrepancy").first()
    assert line
    post(
        staff,
        f"{HOME}/settlements/{head.pk}/decide/?state=discrepancy&cause=fee_overcharged",
        {"step": "claim", "scope": "selection", "note": "Case 77", "pick": [line.pk]},
    )
    claimed = Discrepancy.objects.get(state="claimed")
    assert (claimed.line_id, claimed.note, claimed.decided_by) == (line.order_line_id, "Case 77", "finance@example.com")
    assert Discrepancy.objects.filter(state="open").count() == 2


def test_a_whole_filter_is_accepted_when_it_is_still_what_was_seen(amazon: Account, staff: Browser) -> None:
    head = overcharged(amazon, 3)
    address = f"{HOME}/settlements/{head.pk}/"
    query = "?state=discrepancy&cause=fee_overcharged"
    seen = hidden(text(staff.get(address + query)), "seen")
    post(
        staff,
        f"{address}decide/{query}",
        {"step": "accept", "scope": "filter", "note": "Old prices", "until": "2099-01-31", "seen": seen},
    )
    assert Discrepancy.objects.filter(state="accepted").count() == 3


@pytest.mark.parametrize("where", ["settlement", "findings"])
def test_a_stale_count_writes_nothing_and_shows_the_new_one(amazon: Account, staff: Browser, where: str) -> None:
    head = overcharged(amazon, 3)
    query = "?state=discrepancy&cause=fee_overcharged" if where == "settlement" else "?cause=fee_overcharged"
    address = f"{HOME}/settlements/{head.pk}/" if where == "settlement" else f"{HOME}/findings/"
    seen = hidden(text(staff.get(address + query)), "seen")
    one = Discrepancy.objects.filter(cause="fee_overcharged").first()
    assert one
    Discrepancy.objects.filter(pk=one.pk).update(amount=one.amount - 1)
    answer = post(
        staff, f"{address}decide/{query}", {"step": "accept", "scope": "filter", "note": "Old prices", "seen": seen}
    )
    assert answer.status_code == 409
    assert not Discrepancy.objects.exclude(state="open").exists()
    fresh = workbench.seen(Discrepancy.objects.filter(cause="fee_overcharged"))
    assert hidden(answer.content.decode(), "seen") == str(fresh) != seen


def test_a_decision_without_a_reason_is_refused_and_told(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 1)
    one = Discrepancy.objects.get(state="open")
    answer = post(
        staff, f"{HOME}/findings/decide/", {"step": "claim", "scope": "selection", "pick": [one.pk]}, follow=True
    )
    assert "reference of the claim" in text(answer)
    assert Discrepancy.objects.get(pk=one.pk).state == "open"


def test_a_run_of_one_rate_becomes_a_rule_only_as_it_was_seen(amazon: Account, staff: Browser) -> None:
    rows: list[Any] = []
    for number in range(20):
        line = sold(amazon, f"R-{number}", GOODS, sku=article())
        rows += [(line, "sale", kind, amount) for kind, amount in {**RIGHT, "referral_fee": "-10.08"}.items()]
    settled(amazon, rows)
    reconcile(now=NOW)
    run = Discrepancy.objects.get(cause="rate_changed")
    page = text(staff.get(f"{HOME}/findings/", {"group": run.group_key})).replace("\u202f", " ")
    assert "20 lines deviate by the same rate" in page and "17.00 %" in page and "R-0" in page
    form = {"group": run.group_key, "source": "Fee page of 1 September"}
    post(staff, f"{HOME}/findings/rule/", {**form, "seen": "19"})
    assert not FeeRule.objects.filter(rate=Decimal("0.17")).exists()
    post(staff, f"{HOME}/findings/rule/", {**form, "seen": "20"})
    assert FeeRule.objects.get(rate=Decimal("0.17")).source == "Fee page of 1 September"


def test_what_was_decided_can_be_opened_again(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 1)
    one = Discrepancy.objects.get(state="open")
    Discrepancy.objects.filter(pk=one.pk).update(state="claimed")
    post(staff, f"{HOME}/findings/decide/?state=claimed", {"step": "reopen", "scope": "selection", "pick": [one.pk]})
    assert Discrepancy.objects.get(pk=one.pk).state == "open"


def test_people_without_finance_see_and_decide_nothing(amazon: Account, client_dv: Client) -> None:
    head = overcharged(amazon, 1)
    stranger = browser(client_dv, Role.WAREHOUSE)
    for path in (*PAGES, f"settlements/{head.pk}/"):
        assert stranger.get(f"{HOME}/{path}").status_code == 403, path
    manager = browser(client_dv, Role.MANAGER)
    assert manager.get(f"{HOME}/settlements/{head.pk}/").status_code == 200
    for path in ("findings/decide/", f"settlements/{head.pk}/decide/"):
        assert post(manager, f"{HOME}/{path}", {"step": "claim", "scope": "filter"}).status_code == 403, path


def test_only_those_who_may_export_get_files(amazon: Account, client_dv: Client, staff: Browser) -> None:
    head = overcharged(amazon, 1)
    files = [f"paid/?format=csv&table={name}" for name in paid_tables.TABLES]
    files += ["settlements/?format=csv", "findings/?format=csv", "owed/?format=csv&state=all"]
    files += [f"settlements/{head.pk}/?format=csv&state=discrepancy&cause=fee_overcharged"]
    for path in files:
        assert rows_of(staff.get(f"{HOME}/{path}"))[0], path
    viewer = browser(client_dv, Role.ADS)
    assert viewer.get(f"{HOME}/settlements/").status_code == 200
    for path in files:
        assert viewer.get(f"{HOME}/{path}").status_code == 403, path


def test_the_four_states_of_each_settlement_add_up_in_the_list(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 2)
    head, row = rows_of(staff.get(f"{HOME}/settlements/?format=csv"))
    told = dict(zip(head, row, strict=True))
    states = ("reconciled", "tolerated", "awaiting", "discrepancy")
    assert sum(Decimal(told[state]) for state in states) == Decimal(told["header"])
    assert rows_of(staff.get(f"{HOME}/settlements/?format=csv&state=awaiting"))[1:] == []


def test_the_order_tells_its_money_to_those_who_may_see_it(amazon: Account, client_dv: Client, staff: Browser) -> None:
    head = overcharged(amazon, 1)
    line = head.lines.filter(state="discrepancy").get()
    assert line.order_line
    address = f"/c/dom-ventas/orders/{line.order_line.order_id}/"
    page = text(staff.get(address))
    assert "Money of this order" in page and "Payout expected" in page
    assert "Money of this order" not in text(browser(client_dv, Role.WAREHOUSE).get(address))


def test_the_trust_line_says_for_how_much_the_margin_is_known(amazon: Account, client_dv: Client) -> None:
    day = date(2026, 9, 20)
    assert cost_coverage(today=day) is None
    sold(amazon, "O-1", GOODS, sku=article())
    sold(amazon, "O-2", GOODS, sku=article("ALB-2"))
    cost = {"currency": "EUR", "valid": ALWAYS, "purchase": Decimal(10)}
    SkuCost.objects.create(sku=article(), warehouse="BER1", **cost)
    assert cost_coverage(today=day) == 0, "nobody knows from where it was sent"
    SkuCost.objects.create(sku=article(), **cost)
    assert cost_coverage(today=day) == Decimal("0.5")


def test_the_trust_line_says_which_statements_have_not_come(amazon: Account, staff: Browser) -> None:
    overcharged(amazon, 1)
    Settlement.objects.create(
        account=amazon, settlement_ref="S9", status="waiting", currency="EUR", loaded_at=NOW, header_total=Decimal(10)
    )
    page = text(staff.get(f"{HOME}/settlements/"))
    assert "due and not seen" in page and "/money/paid/#gaps" in page
    assert "lines of settlement S9" in text(staff.get(f"{HOME}/paid/"))
