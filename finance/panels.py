"""Money on other pages: expected beside paid on the order's, missing statements in trust line and monitor."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.models import Client
from domventas.core.pages import Fact
from domventas.core.panels import Panel
from domventas.core.templatetags.figures import share
from domventas.core.tenancy import current
from domventas.core.times import day_in
from finance.models import Receivable
from finance.pages.words import REASONS
from finance.selectors.coverage import cost_coverage
from finance.selectors.reconciliation import lines_beside
from finance.selectors.statement_files import accounts_with_files
from finance.selectors.statements import Absent, absent_statements, newest_statements
from finance.selectors.waterfall import Waterfall, waterfalls
from marketplaces.pages.by_file import Step, comes_by_file
from marketplaces.pages.runbooks import address_of
from orders.models import Order

#: Share of sold lines with a known cost under which a margin is not to be believed.
ENOUGH: Final = Decimal("0.95")
#: Lines of an order shown with their money; larger orders are read in the list of what is owed.
SHOWN: Final = 10


def order_money(request: HttpRequest, order: Order) -> dict[str, Any]:
    """Each line of the order expected beside paid, where its money is, and the way from cash to margin."""
    owed = {row.line_id: row for row in Receivable.objects.filter(line__order=order)}
    lines = list(order.lines.select_related("order", "sku").order_by("pk"))
    shown = lines[:SHOWN]
    components, ways = lines_beside(shown), waterfalls(shown)
    return {
        "currency": order.currency,
        "lines": [
            {
                "line": line,
                "owed": owed.get(line.pk),
                "reason": _reason(owed.get(line.pk)),
                "components": components[line.pk],
                "way": ways[line.pk],
                "bridge": _bridge(ways[line.pk]),
            }
            for line in shown
        ],
        "rest": max(len(lines) - SHOWN, 0),
    }


def _bridge(way: Waterfall) -> list[tuple[Any, Decimal | None]]:
    """From payout to revenue less fees, each step signed so that they add up [order's currency]."""
    return [
        (_("tax we owe on the sale"), way.output_tax),
        (_("tax on fees, claimed back"), None if way.fee_tax is None else -way.fee_tax),
        (_("tax the marketplace pays for us"), -way.withheld_tax),
    ]


def _reason(owed: Receivable | None) -> Any:
    return REASONS.get(owed.reason, owed.reason) if owed and owed.reason else ""


def facts(request: HttpRequest, subject: object) -> dict[str, Any]:
    """Statements that should be here and are not, and for how much of what is sold the cost is known."""
    now = clock()
    today = day_in(Client.objects.get(pk=current().one).zone, now)
    told = _missing(absent_statements(today=today), named=False)
    covered = cost_coverage(today=today)
    if covered is not None:
        level = "good" if covered >= ENOUGH else "warn"
        costs = reverse("admin:finance_skucost_changelist")
        told.append(Fact(level, _("Margin known for"), costs, strong=share(covered, 0)))
    return {"facts": told}


def _missing(absent: list[Absent], *, named: bool) -> list[Fact]:
    """How many statements are missing, and whose if `named`."""
    if not absent:
        return []
    words = ngettext("%(count)d settlement due and not seen", "%(count)d settlements due and not seen", len(absent))
    whose = Counter(row.account for row in absent)
    names = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in sorted(whose.items()))
    return [
        Fact(
            "warn",
            words % {"count": len(absent)},
            f"{reverse('finance:are_we_paid')}#gaps",
            rest=names if named else "",
        )
    ]


def statements(request: HttpRequest, subject: object) -> dict[str, Any]:
    """For the integration monitor: what is read on time and yet not here."""
    absent = absent_statements(today=day_in(Client.objects.get(pk=current().one).zone, clock()))
    by_account: dict[int, list[Absent]] = defaultdict(list)
    for row in absent:
        by_account[row.account_id].append(row)
    takes = set(accounts_with_files().values_list("pk", flat=True))
    by_file = {row.account_id for row in absent if comes_by_file(row.channel, "settlements")}
    return {
        "facts": _missing(absent, named=True),
        "whole": _("every statement that is due is here"),
        "missing": {(account, "settlements"): _absence(rows) for account, rows in by_account.items()},
        "steps": {
            (account, "settlements"): _step(rows[0].account_code, takes=account in takes, by_file=account in by_file)
            for account, rows in by_account.items()
        },
        "newest": {(account, "settlements"): end for account, end in newest_statements().items()},
    }


def _absence(rows: list[Absent]) -> str:
    """How many are missing of one account, and since when."""
    words = ngettext(
        "%(count)d statement missing, due %(day)s", "%(count)d statements missing, due from %(day)s", len(rows)
    )
    return words % {"count": len(rows), "day": date_format(min(row.due_on for row in rows), "j M")}


def _step(code: str, *, takes: bool, by_file: bool) -> Step:
    """`takes`: statements can be read from files; `by_file`: they come in no other way."""
    if not takes:
        text = _("Look for it in the seller portal, or ask the marketplace.")
        return Step(text=str(text), url=address_of("statements-by-file"), label=str(_("What to do")))
    text = _("Look for it in the seller portal; bring its file, or ask the marketplace.")
    if by_file:
        text = _("Fetch the statement from the seller portal and bring its file.")
    url = f"{reverse('finance:statement_files')}?{urlencode({'account': code})}"
    return Step(text=str(text), url=url, label=str(_("Bring its file")))


money = Panel(page="orders.order", name="finance", title=_("Money of this order"), template="finance/_order.html",
              rows=order_money, order=20, perm="finance.view_receivable")  # fmt: skip
monitor = Panel(page="monitor", name="finance", title=_("Statements"), template="", rows=statements, order=20,
                perm="finance.view_settlement")  # fmt: skip
trust = Panel(page="trust", name="finance", title=_("Money"), template="", rows=facts, order=20,
              perm="finance.view_settlement")  # fmt: skip
