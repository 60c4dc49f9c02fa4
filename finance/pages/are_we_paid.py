"""Are we paid: what each account owes us, when it comes, and what nobody can explain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.models import Client
from domventas.core.pages import GetForm, page, with_query
from domventas.core.tenancy import current
from domventas.core.times import Period, day_in
from finance.pages import paid_rows, paid_tables
from finance.pages.headline import headlines
from finance.pages.paid_rows import BETWEEN, address
from finance.pages.tables import wants_csv
from finance.pages.words import CAUSES, REASONS, place
from finance.selectors import are_we_paid, discrepancies, receivables, workbench
from finance.selectors.bridge import bridges
from finance.selectors.discrepancies import Group
from finance.selectors.receivables import Late, Unproved, Week
from finance.selectors.statement_files import accounts_with_files
from finance.selectors.transfers import next_transfers
from marketplaces.models import Account

NOTHING: Final = Decimal(0)
WEEKS: Final = 4
#: Groups of findings shown one by one; the rest is one row per currency.
SHOWN: Final = 20
#: Causes whose groups are single settlements; they share a row.
BY_SETTLEMENT: Final = ("header_mismatch", "unknown_kind")


class Filters(GetForm):
    """Whose money, in which currency, over which days; `to` is the last day in it."""

    account = forms.ChoiceField(label=_("account"), required=False)
    currency = forms.ChoiceField(label=_("currency"), required=False)

    def __init__(self, *args: Any, today: date, accounts: Iterable[Account], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = [(account.code, account.name) for account in accounts]
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["from"] = forms.DateField(label=_("from"), required=False, initial=today.replace(day=1))
        self.fields["to"] = forms.DateField(label=_("to"), required=False, initial=today)

    def offer(self, currencies: Iterable[str]) -> None:
        """Offer the currencies there are."""
        choices = [("", _("each its own")), *((code, code) for code in currencies)]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def period(self) -> Period:
        """The days chosen; turned round where they were given the wrong way."""
        first, last = sorted((self.values["from"], self.values["to"]))
        return Period(first, last + timedelta(days=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one currency is to bring: overdue, in question, not proved, four weeks, later; None where nothing is.

    Of one account, what each of its sites is to bring.
    """

    currency: str
    site: str
    overdue: Decimal | None
    question: Decimal | None
    unproved: Decimal | None
    weeks: tuple[Decimal | None, ...]
    later: Decimal | None
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """A row of findings: one decision, or the settlements of an account with the same cause."""

    account: str
    title: Any
    place: str
    findings: int
    amount: Decimal
    currency: str
    until: date | None
    url: str


@require_GET
@permission_required("finance.view_settlement", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the page, or one of its tables as CSV (`?format=csv&table=`)."""
    today = day_in(Client.objects.get(pk=current().one).zone, clock())
    accounts = list(Account.objects.order_by("name"))
    filters = Filters(request.GET, today=today, accounts=accounts)
    found = _found(filters, today, accounts)
    if wants_csv(request):
        return paid_tables.file(request.GET.get("table", "balance"), found)
    groups: list[Group] = found["groups"]
    rows = _rows(groups)
    account = filters.values["account"] or ""
    transfers = paid_rows.coming(
        found["transfers"], absent=found["absent"], only=lambda code: with_query(request, account=code)
    )
    context = {
        "title": _("Are we paid?"),
        "today": today,
        "now": clock(),
        "headlines": headlines(found["balance"], found["by_week"], groups, transfers, account=account,
                               period=found["period"], today=today),
        "starts": [(today + timedelta(weeks=n), today + timedelta(weeks=n + 1, days=-1)) for n in range(WEEKS)],
        "later_from": today + timedelta(weeks=WEEKS),
        "coming": [(row, *_cells(row, today, account)) for row in found["weeks"]],
        "has_sites": any(row.site for row in found["weeks"]),
        "lates": [(row, REASONS.get(row.reason, row.reason), _owed(row)) for row in found["overdue"]],
        "transfer_rows": transfers,
        "steps": paid_rows.steps(found["bridge"], accounts),
        "findings": rows[:SHOWN],
        "rest": _rest(rows[SHOWN:], account),
        "rows": [(row, with_query(request, account=row.account_code),
                  [paid_rows.entries(row, found["period"], what) for what in BETWEEN],
                  paid_rows.entries(row, found["period"], "closing"),
                  paid_rows.reserve_lines(row.account_id, row.currency)) for row in found["balance"]],
        "csv": {name: with_query(request, format="csv", table=name) for name in paid_tables.TABLES},
        "may_decide": request.user.has_perm("finance.change_discrepancy"),
        "may_add_rule": request.user.has_perm("finance.add_feerule"),
        **found,
    }  # fmt: skip
    return page(request, "finance/are_we_paid.html", context, filters=filters)


def _found(filters: Filters, today: date, accounts: list[Account]) -> dict[str, Any]:
    """Everything on the page, as far as account and currency are chosen."""
    period = filters.period()
    balance = receivables.roll_forward(period, today=today)
    filters.offer(sorted({row.currency for row in balance}))
    values = filters.values
    chosen = next((account for account in accounts if account.code == values["account"]), None)

    def wanted(row: Any) -> bool:
        same_money = not values["currency"] or row.currency == values["currency"]
        return same_money and (chosen is None or getattr(row, "account_code", chosen.code) == chosen.code)

    account = chosen.pk if chosen else None
    weeks = [row for row in receivables.expected_weeks(today=today, weeks=WEEKS, account=account) if wanted(row)]
    unproved = [row for row in receivables.without_evidence() if wanted(row)]
    absent = [row for row in are_we_paid.absent_settlements(today=today) if wanted(row)]
    told = {row.settlement_ref for row in absent}
    mine = sorted(filter(wanted, balance), key=lambda row: (row.currency, row.account))
    sites = set(chosen.account_sites.values_list("site__code", flat=True)) if chosen else set()
    return {
        "period": period,
        "last_day": period.last_day(),
        "chosen": chosen,
        "transfers": [row for row in next_transfers(today=today, account=account) if wanted(row)],
        "balance": mine,
        "bridge": bridges(mine),
        "by_week": weeks,
        "weeks": _coming(weeks, unproved, today, by_site=chosen is not None),
        "overdue": [row for row in receivables.overdue_or_in_question(today=today) if wanted(row)],
        "groups": [group for group in discrepancies.groups() if wanted(group)],
        "unproved": unproved,
        "absent": absent,
        "by_file": set(accounts_with_files().values_list("code", flat=True)),
        "waiting": [row for row in workbench.waiting()
                    if (chosen is None or row.account_id == chosen.pk) and wanted(row)
                    and row.settlement_ref not in told],
        "rule_gaps": [gap for gap in discrepancies.rule_gaps() if wanted(gap) and (not chosen or gap.site in sites)],
        "tolerated": [row for row in workbench.tolerated(month=today, account=account)
                      if wanted(row)],
    }  # fmt: skip


def _coming(weeks: list[Week], unproved: list[Unproved], today: date, *, by_site: bool) -> list[Outlook]:
    """One row per currency and site out of one per currency, site and week."""
    found = []
    open_at = [(row.currency, row.site if by_site else "", row.open) for row in unproved]
    for currency, site in sorted({(x.currency, x.site) for x in weeks} | {(x[0], x[1]) for x in open_at}):
        mine = [week for week in weeks if (week.currency, week.site) == (currency, site)]
        without = [amount for *where, amount in open_at if where == [currency, site]]
        dated = {week.start: week.amount for week in mine if not (week.is_later or week.is_in_question)}
        found.append(
            Outlook(
                currency=currency,
                site=site,
                overdue=dated.get(None),
                question=next((week.amount for week in mine if week.is_in_question), None),
                unproved=sum(without, NOTHING) if without else None,
                weeks=tuple(dated.get(today + timedelta(weeks=n)) for n in range(WEEKS)),
                later=next((week.amount for week in mine if week.is_later), None),
                total=sum((week.amount for week in mine), sum(without, NOTHING)),
            )
        )
    return found


def _cells(row: Outlook, today: date, account: str) -> tuple[str, list[tuple[Decimal | None, str]]]:
    """The order lines behind a row, and its weeks with theirs; the first holds what is in its days of grace, too."""
    whose = {"account": account, "currency": row.currency, "site": row.site}
    cells = []
    for number, amount in enumerate(row.weeks):
        first, last = today + timedelta(weeks=number), today + timedelta(weeks=number + 1, days=-1)
        asked = {"due_to": last.isoformat()} | ({"due_from": first.isoformat()} if number else {})
        cells.append((amount, address("owed", **whose, state="coming", **asked)))
    return address("owed", **whose), cells


def _owed(row: Late) -> str:
    """The order lines behind a row of what is overdue or in question."""
    state = {"claimed": "disputed", "differs": "part_paid"}.get(row.reason, "overdue")
    reason = row.reason if state == "overdue" else ""
    return address("owed", account=row.account_code, currency=row.currency, state=state, reason=reason)


def _rows(groups: list[Group]) -> list[Alike]:
    """The groups, those of single settlements joined by account and cause; the largest first."""
    joined: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        alone = group.cause not in BY_SETTLEMENT or group.site in group.group_key.split("|")
        joined.setdefault(
            (group.account_code, group.cause, group.currency, group.group_key if alone else ""), []
        ).append(group)
    rows = [
        Alike(
            account=parts[0].account,
            title=CAUSES.get(cause, cause),
            place=place(key, parts[0].site) if key else str(_("each a settlement of its own")),
            findings=sum(part.findings for part in parts),
            amount=sum((part.amount for part in parts), NOTHING),
            currency=currency,
            until=min((part.until for part in parts if part.until), default=None),
            url=address("findings", account=code, cause=cause, currency=currency, group=key),
        )
        for (code, cause, currency, key), parts in joined.items()
    ]
    return sorted(rows, key=lambda row: -abs(row.amount))


def _rest(rows: list[Alike], account: str) -> list[tuple[str, str, int, Decimal]]:
    """What is counted instead of shown: the list it is in, currency, findings, amount."""
    return [
        (
            address("findings", account=account, currency=currency),
            currency,
            sum(row.findings for row in rows if row.currency == currency),
            sum((row.amount for row in rows if row.currency == currency), NOTHING),
        )
        for currency in sorted({row.currency for row in rows})
    ]
