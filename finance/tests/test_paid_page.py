"""*Are we paid?*: figures lead to what they are made of, one word stands for one idea, filters hold for all of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.formats import date_format
from django.utils.timezone import now as clock

from domventas.core.models import Client
from domventas.core.templatetags.figures import money, money_plain
from domventas.core.tenancy import acting_for
from finance.models import Discrepancy, Payout, Receivable, RuleGap, Settlement, SettlementLine
from finance.services import discrepancies
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.desk import GOODS, HOME, RIGHT, open_sum, queries, rows_of, text, today
from finance.tests.golden import article, dec, refunded, rules, settled, sold
from marketplaces.models import Account

pytestmark = pytest.mark.db


def statement(of: Account, rows: list[Any], *, ago: int, ref: str, made: bool = True, total: str | None = None) -> Any:
    """A statement that ended some days ago, transferred two days later or not."""
    head = settled(of, rows, ref=ref, start=today() - timedelta(days=ago + 28), total=total)
    Settlement.objects.filter(pk=head.pk).update(paid_on=None)
    if made:
        day = today() - timedelta(days=ago - 2)
        Payout.objects.create(account=of, external_id=ref, settlement_ref=ref, currency=head.currency,
                              amount=head.header_total, state="paid", paid_on=day)  # fmt: skip
    return head


def pay(line: Any, **changed: str) -> list[Any]:
    return [(line, "sale", kind, amount) for kind, amount in {**RIGHT, **changed}.items()]


def a_month(of: Account) -> None:
    """Every kind of open money at once, and everything that stands between balance and open lines."""

    def sale(ref: str, ago: int) -> Any:
        return sold(of, ref, GOODS, sku=article(), on=today() - timedelta(days=ago))

    right, short, odd, back = (sale(ref, 50) for ref in ("RIGHT", "SHORT", "ODD", "BACK"))
    claimed, missing, gone = (sale(ref, 60) for ref in ("CLAIMED", "MISSING", "GONE"))
    sale("UNPAID", 61)
    statement(of, [*pay(right), *pay(short, referral_fee="-10.00"), *pay(back), (None, "account", "reserve", "-3.00")],
              ago=23, ref="S1")  # fmt: skip
    refunded(back, {"item_price": "-41.85", "item_tax": "-7.95"}, on=today() - timedelta(days=5))
    statement(of, [(None, "account", "advertising", "-8.00")], ago=16, ref="S2", made=False)
    statement(of, [*pay(odd, item_tax="7.94"), (None, "account", "unknown", "-2.00")], ago=1, ref="S3", made=False)
    head = statement(of, [], ago=2, ref="S4", total="70.00")
    SettlementLine.objects.filter(settlement=head).delete()
    Settlement.objects.filter(pk=head.pk).update(status="waiting")
    for number, ago in enumerate((1, 4, 9, 12, 15, 19)):
        sale(f"W-{number}", ago)
    reconcile(now=clock())
    for line, how in ((claimed, "claim"), (gone, "accept")):
        found = Discrepancy.objects.get(line=line)
        if how == "claim":
            discrepancies.claim([found.pk], note="case 7", by="ana")
        else:
            discrepancies.accept([found.pk], until=None, note="lost", by="ana", now=clock())
    assert Discrepancy.objects.filter(line=missing, state="open").exists()
    reconcile(now=clock())


def test_every_cell_of_what_is_expected_leads_to_lines_that_add_up_to_it(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    for query in ("", "?account=amazon-eu"):
        answer = staff.get(f"{HOME}/paid/{query}")
        ((row, url, cells),) = answer.context["coming"]
        figures = [(row.overdue, f"{url}&state=overdue"), (row.question, f"{url}&state=question"), *cells]
        later = (row.later, f"{url}&state=coming&due_from={answer.context['later_from']}")
        for amount, where in [*figures, later, (row.total, url)]:
            assert open_sum(staff, where) == (amount or 0), where
        parts = [amount or Decimal(0) for amount, _where in [*figures, later]]
        assert sum(parts) == row.total, "no evidence is missing at Amazon"
        assert row.overdue and row.question and any(amount for amount, _url in cells)


def test_what_is_in_question_is_in_no_week(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    states = set(Receivable.objects.values_list("state", flat=True))
    assert {"part_paid", "disputed", "overdue", "due", "not_due", "paid", "refunded", "written_off"} <= states
    ((row, _url, cells),) = staff.get(f"{HOME}/paid/").context["coming"]
    open_of = {state: sum(Receivable.objects.filter(state=state).values_list("open", flat=True)) for state in states}
    assert row.question == open_of["part_paid"] + open_of["disputed"]
    by_itself = sum(open_of.get(state, 0) for state in ("not_due", "due", "deferred"))
    assert sum(amount or 0 for amount, _url in cells) + (row.later or 0) == by_itself
    for _amount, url in cells:
        head, *lines = rows_of(staff.get(f"{url}&format=csv"))
        assert {dict(zip(head, line, strict=True))["state"] for line in lines} <= {"not_due", "due", "deferred"}


def test_ages_add_up_to_overdue_and_in_question(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    answer = staff.get(f"{HOME}/paid/")
    ((row, _url, _cells),) = answer.context["coming"]
    sums = {True: Decimal(0), False: Decimal(0)}
    for each, _words, url in answer.context["lates"]:
        assert open_sum(staff, url) == each.total, url
        sums[each.is_in_question] += each.total
    assert (sums[False], sums[True]) == (row.overdue, row.question)
    assert "Claimed at the marketplace" in text(answer)


def test_each_transfer_leads_to_what_its_amount_is_made_of(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    rows = staff.get(f"{HOME}/paid/").context["transfer_rows"]
    assert {row.transfer.evidence for row in rows} == {"stated", "running"}
    for each in rows:
        row = each.transfer
        if row.evidence == "stated":
            assert text(staff.get(each.url)) and f"/settlements/{row.settlement}/" in each.url
            assert row.amount == Settlement.objects.get(pk=row.settlement).header_total
            continue
        assert open_sum(staff, each.url) == row.amount
        apart = {str(words): (amount, url) for words, amount, url in each.apart}
        assert apart["held in reserve"][0] == dec("3.00")
        amount, url = apart["released earlier, in no booked statement"]
        assert open_sum(staff, url) == amount > 0


def test_the_running_transfer_of_one_account_is_told_by_its_sites(client_dv: Client, staff: Browser) -> None:
    with acting_for(client_dv, actor="test"):
        for site in ("amazon.de", "amazon.fr"):
            rules(site)
        both = account("amazon-eu", sites=["amazon.de", "amazon.fr"])
        statement(both, [], ago=3, ref="S1", total="50.00")
        for number, site in enumerate(("amazon.de", "amazon.de", "amazon.fr")):
            day = today() - timedelta(days=9)
            sold(both, f"S-{number}", GOODS, at=site, sku=article(), on=day)
        reconcile(now=clock())
        (each,) = staff.get(f"{HOME}/paid/?account=amazon-eu").context["transfer_rows"]
        assert [site for site, _amount, _url in each.sites] == ["amazon.de", "amazon.fr"]
        assert sum(amount for _site, amount, _url in each.sites) == each.transfer.amount > 0
        for _site, amount, url in each.sites:
            assert open_sum(staff, url) == amount
        assert [(str(words), amount) for words, amount, _url in each.apart] == [
            (f"transferred last, on {date_format(today() - timedelta(days=1), 'j M')}", dec("50.00"))
        ]
        (each,) = staff.get(f"{HOME}/paid/").context["transfer_rows"]
        assert each.sites == []


def entry_sum(staff: Browser, url: str) -> Decimal:
    """What the entries an address leads to add up to; their page says the same at its head."""
    head, *rows = rows_of(staff.get(f"{url}&format=csv"))
    amount = sum((Decimal(dict(zip(head, row, strict=True))["amount"]) for row in rows), Decimal(0))
    assert f"{money(amount, 'EUR')} on " in text(staff.get(url)), url
    return amount


@pytest.mark.parametrize("days", ["", "from=2026-01-01", "from=2026-01-01&to=2026-02-01", "past"])
def test_every_figure_of_the_roll_forward_leads_to_entries_that_add_up_to_it(
    amazon: Account, staff: Browser, days: str
) -> None:
    a_month(amazon)
    if days == "past":
        days = f"from={today() - timedelta(days=55)}&to={today() - timedelta(days=15)}"
    answer = staff.get(f"{HOME}/paid/?{days}")
    seen = []
    for row, _only, figures, closing, _reserve in answer.context["rows"]:
        assert sum(figure.amount for figure in figures) == closing.amount == row.closing
        for figure in [*figures, closing]:
            assert bool(figure.url) == (figure.amount != 0)
            if figure.url:
                assert entry_sum(staff, figure.url) == figure.amount, figure.url
                seen.append(figure)
    assert len(seen) >= 5 or days in ("", "from=2026-01-01&to=2026-02-01"), "this month may have begun today"


def test_the_head_tells_what_is_owed_first_and_each_figure_leads_to_its_rows(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    since = f"?from={today() - timedelta(days=90)}"  # this month may have begun today
    for query in (since, f"{since}&account=amazon-eu"):
        answer = staff.get(f"{HOME}/paid/{query}")
        (head,), (row,) = answer.context["headlines"], answer.context["balance"]
        assert (head.owed, head.owing, head.unexplained) == (row.closing, 0, row.unexplained)
        assert open_sum(staff, head.overdue_url) == head.overdue > 0
        assert open_sum(staff, head.question_url) == head.question > 0
        assert entry_sum(staff, head.unexplained_url) == head.unexplained != 0
        assert head.next and head.next.transfer.day
        tile = text(answer).split('class="kpis')[1].split("</div>\n    </div>")[0]
        assert money_plain(row.closing, "EUR") in tile.split('class="fig"')[1].split("</div>")[0]
        words = [tile.index(word) for word in ("Owed to us", "overdue", "in question", ">unexplained", "next transfer")]
        assert words == sorted(words)
    past = staff.get(f"{HOME}/paid/?from=2026-01-01&to=2026-02-01").context["headlines"]
    assert all(head.overdue is None for head in past), "what is late is told of today only"


def test_an_account_below_zero_is_not_taken_off_what_another_is_owed(amazon: Account, staff: Browser) -> None:
    sold(amazon, "A", GOODS, sku=article())
    other = account("amazon-fr", sites=["amazon.fr"])
    settled(other, [(None, "account", "advertising", "-5.00")], ref="X")
    reconcile(now=clock())
    (head,) = staff.get(f"{HOME}/paid/").context["headlines"]
    assert (head.owed, head.owing) == (dec("37.04"), dec("-5.00"))


def test_a_name_of_an_account_sets_the_filter_of_the_page(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    answer = staff.get(f"{HOME}/paid/?from=2026-01-01")
    addresses = {answer.context["rows"][0][1], *(row.only for row in answer.context["transfer_rows"])}
    assert addresses == {f"{HOME}/paid/?from=2026-01-01&account=amazon-eu"}
    assert "choose an account to see its sites" in text(answer)
    chosen = staff.get(addresses.pop())
    assert chosen.context["chosen"] == amazon
    assert "choose an account to see its sites" not in text(chosen)


def test_closing_and_items_add_up_to_the_open_lines(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    answer = staff.get(f"{HOME}/paid/")
    ((row, items),) = answer.context["steps"]["rows"]
    assert row.unexplained == 0
    told = {str(name): item for (name, _words), item in zip(answer.context["steps"]["heads"], items, strict=True)}
    assert row.closing + sum(item.amount for item in items) == row.open
    url = answer.context["coming"][0][1]
    assert row.open == open_sum(staff, f"{url}&state=open")
    assert {name: item.amount for name, item in told.items()} == {
        "Transfer to come": dec("-35.03"), "Statements below zero": dec("8.00"), "Held in reserve": dec("-3.00"),
        "Paid, lines not here": dec("70.00"), "Refunds to be booked": dec("42.68"), "Written off": dec("-37.04"),
        "In question": dec("1.11"),
    }  # fmt: skip
    for name, which in (
        ("Transfer to come", ["S3"]),
        ("Statements below zero", ["S2"]),
        ("Paid, lines not here", ["S4"]),
    ):
        head, *rows = rows_of(staff.get(f"{told[name].url}&format=csv"))
        assert [dict(zip(head, each, strict=True))["settlement"] for each in rows] == which
    for name, orders in (("Refunds to be booked", ["BACK"]), ("Written off", ["GONE"])):
        head, *rows = rows_of(staff.get(f"{told[name].url}&format=csv"))
        assert [dict(zip(head, each, strict=True))["order"] for each in rows] == orders
    for item in items:
        assert staff.get(item.url).status_code == 200, item.url
    assert "Unexplained</th>" not in text(answer).split('id="bridge"')[1].split("</section>")[0]


def test_a_period_in_the_past_has_no_bridge(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    page = text(staff.get(f"{HOME}/paid/?from=2026-01-01&to=2026-02-01"))
    assert 'id="bridge"' not in page and 'id="transfers"' in page


def test_one_account_shows_nothing_of_another(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    rules("amazon.com")
    us = account("amazon-us", sites=["amazon.com"])
    line = sold(us, "US-1", GOODS, at="amazon.com", sku=article("US"), on=today() - timedelta(days=40))
    statement(us, [(line, "sale", "item_price", "41.86")], ago=3, ref="US")
    reconcile(now=clock())
    for site, kind in (("amazon.de", "storage_fee"), ("amazon.com", "return_fee")):
        RuleGap.objects.create(site=site, kind=kind, currency="EUR", line_count=1, blocked_amount=1)
    for code, other in (("amazon-eu", "amazon-us"), ("amazon-us", "amazon-eu")):
        answer = staff.get(f"{HOME}/paid/?account={code}")
        context = answer.context
        blocks = ("transfers", "balance", "bridge", "overdue", "groups", "unproved", "absent")
        assert {row.account_code for name in blocks for row in context[name]} == {code}
        site = "amazon.de" if code == "amazon-eu" else "amazon.com"
        assert {gap.site for gap in context["rule_gaps"]} == {site}
        main = text(answer).split("<main")[-1].split('class="filters"')[-1].split("</form>")[-1]
        assert other not in main
    assert {row.currency for row in staff.get(f"{HOME}/paid/?currency=USD").context["tolerated"]} <= {"USD"}


def test_tolerated_differences_are_those_of_the_account(amazon: Account, staff: Browser) -> None:
    line = sold(amazon, "T-1", GOODS, sku=article(), on=today())
    statement(amazon, pay(line, item_tax="7.94"), ago=1, ref="T")
    account("amazon-us", sites=["amazon.com"])
    reconcile(now=clock())
    (mine,) = staff.get(f"{HOME}/paid/?account=amazon-eu").context["tolerated"]
    assert (mine.lines, mine.amount) == (1, dec("-0.01"))
    answer = staff.get(f"{HOME}/paid/?account=amazon-us")
    assert answer.context["tolerated"] == []
    assert "Tolerated this month, amazon-us:" in text(answer)
    assert "Tolerated this month, all accounts:" in text(staff.get(f"{HOME}/paid/"))


def test_one_word_stands_for_one_idea(amazon: Account, staff: Browser) -> None:
    a_month(amazon)
    page = text(staff.get(f"{HOME}/paid/"))
    for word in ("Awaiting order", "in question", "overdue"):
        assert word in page
    for word in ("awaiting payment", ">Awaiting<", "part-paid", "late or"):
        assert word not in page
    owed = text(staff.get(f"{HOME}/owed/"))
    assert ">in question<" in owed and "late or part-paid" not in owed
    head, *_rows = rows_of(staff.get(f"{HOME}/paid/?format=csv&table=balance"))
    assert "awaiting order" in head and "awaiting" not in head
    head, *rows = rows_of(staff.get(f"{HOME}/paid/?format=csv&table=overdue"))
    assert {row[0] for row in rows} == {"overdue", "in question"}


def test_awaiting_an_order_is_not_awaiting_a_rule(amazon: Account, staff: Browser) -> None:
    without_rule = sold(amazon, "G-1", GOODS, sku=article(category="garden"), fulfillment="seller")
    statement(amazon, [(without_rule, "sale", "referral_fee", "-11.11")], ago=10, ref="RULE")
    head = settled(amazon, [(None, "sale", "item_price", "25.00")], ref="ORDER", order_ref="UNREAD")
    reconcile(now=clock())
    assert set(SettlementLine.objects.values_list("settlement_ref", "state")) == {
        ("RULE", "awaiting"), ("ORDER", "awaiting"),
    }  # fmt: skip
    answer = staff.get(f"{HOME}/paid/?from=2026-01-01")
    (row,) = answer.context["balance"]
    assert row.awaiting == dec("25.00")
    (figure,) = (figure for figure in answer.context["rows"][0][2] if "what=awaiting" in figure.url)
    head_row, *listed = rows_of(staff.get(f"{figure.url}&format=csv"))
    assert [dict(zip(head_row, each, strict=True))["number"] for each in listed] == [head.settlement_ref]
    listed = rows_of(staff.get(f"{HOME}/settlements/?state=awaiting_order&format=csv"))[1:]
    assert [each[1] for each in listed] == [head.settlement_ref]
    assert len(rows_of(staff.get(f"{HOME}/settlements/?state=awaiting&format=csv"))) == 1 + 2


def test_transfers_and_bridge_take_as_many_queries_for_twenty_rows_as_for_two(amazon: Account, staff: Browser) -> None:
    counts = []
    for start, size in ((0, 2), (2, 18)):
        for number in range(start, start + size):
            statement(amazon, pay(sold(amazon, f"Q-{number}", GOODS, sku=article())), ago=number + 1, ref=f"Q{number}",
                      made=number % 2 == 0)  # fmt: skip
            Payout.objects.create(account=amazon, external_id=f"P{number}", amount=1, currency="EUR", state="pending")
        reconcile(now=clock())
        counts.append([queries(staff, f"{HOME}/paid/{query}") for query in ("", "?account=amazon-eu")])
        counts[-1].append(queries(staff, f"{HOME}/settlements/?transfer=open"))
        counts[-1].append(queries(staff, f"{HOME}/entries/"))
        counts[-1].append(queries(staff, f"{HOME}/owed/?state=all&unbooked=refund"))
    assert counts[0] == counts[1]
    rows = staff.get(f"{HOME}/paid/").context["transfer_rows"]
    assert len(rows) == 1 + 20 + 1, "the statements together, each announced transfer, the running cycle"
    (stated,) = (each for each in rows if each.transfer.evidence == "stated")
    head, *listed = rows_of(staff.get(f"{stated.url}&format=csv"))
    assert len(listed) == stated.transfer.statements == 10
    assert sum(Decimal(dict(zip(head, each, strict=True))["header"]) for each in listed) == stated.transfer.amount
    assert "totals of 10 statements" in text(staff.get(f"{HOME}/paid/")).replace("\u202f", " ")


def test_nothing_is_guessed_on_the_page(amazon: Account, staff: Browser) -> None:
    sold(amazon, "N-1", GOODS, sku=article(), on=today() - timedelta(days=9))
    reconcile(now=clock())
    page = " ".join(text(staff.get(f"{HOME}/paid/")).split())
    assert page.count("unknown") >= 2 and "no statement of it has come yet" in page
    account("amazon-us", sites=["amazon.com"])
    assert "nothing can be expected" in text(staff.get(f"{HOME}/paid/?account=amazon-us"))
