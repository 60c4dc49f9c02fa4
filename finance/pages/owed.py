"""What is owed line by line: the rows behind every figure of receivables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.pages import GetForm, page
from finance.models import Receivable
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.pages.words import REASONS
from finance.selectors import workbench
from marketplaces.models import Account, AccountSite

PER_PAGE: Final = 50
STATES: Final = (
    (workbench.OPEN, _("still to come")),
    (workbench.COMING, _("coming by itself")),
    (workbench.QUESTION, _("in question")),
    (workbench.ALL, _("all")),
    *Receivable.State.choices,
)
#: Reasons a line carries itself; that it is claimed is a state of its own.
CHOSEN: Final = [("", _("all")), *(pair for pair in REASONS.items() if pair[0] not in ("", "claimed"))]
UNBOOKED: Final = (
    ("", _("any")),
    ("refund", _("a refund, of finished lines")),
    ("sale", _("a sale, of finished lines")),
)
FEES: Final = (("", _("any")), ("unknown", _("not known: no rule tells one")))


class Filters(GetForm):
    """Whose lines, sold where, in which state, why late, due and released when, with something nobody knows yet."""

    account = forms.ChoiceField(label=_("account"), required=False)
    site = forms.ChoiceField(label=_("site"), required=False)
    currency = forms.CharField(label=_("currency"), required=False, max_length=3)
    state = forms.ChoiceField(label=_("state"), required=False, choices=STATES, initial=workbench.OPEN)
    reason = forms.ChoiceField(label=_("reason"), required=False, choices=CHOSEN)
    due_from = forms.DateField(label=_("due from"), required=False)
    due_to = forms.DateField(label=_("due to"), required=False)
    release_from = forms.DateField(label=_("released from"), required=False)
    release_to = forms.DateField(label=_("released to"), required=False)
    unbooked = forms.ChoiceField(label=_("not booked yet"), required=False, choices=UNBOOKED)
    fees = forms.ChoiceField(label=_("fees"), required=False, choices=FEES)

    def __init__(self, *args: Any, accounts: Iterable[Account], sites: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = [(account.code, account.name) for account in accounts]
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["site"].choices = [("", _("all")), *((x, x) for x in sites)]  # type: ignore[attr-defined]


@require_GET
@permission_required("finance.view_receivable", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the lines, fifty at a time, or all as CSV."""
    accounts = list(Account.objects.order_by("name"))
    sites = AccountSite.objects.order_by("site__code").values_list("site__code", flat=True).distinct()
    filters = Filters(request.GET, accounts=accounts, sites=sites)
    values = dict(filters.values)
    values["account"] = next((account.pk for account in accounts if account.code == values["account"]), None)
    values["currency"] = (values["currency"] or "").upper()
    rows = workbench.owed(**values)
    names = {account.pk: account for account in accounts}
    if wants_csv(request):
        return _csv(rows.iterator(chunk_size=2000), names)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "title": _("What is owed, line by line"),
        "lines": [(row, names[row.account_id], row.reason and REASONS.get(row.reason, row.reason)) for row in shown],
        "sums": workbench.owed_sums(rows),
        "shown": shown,
        "steps": steps(request, shown),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "finance/owed.html", context)


def _csv(rows: Iterable[Receivable], accounts: dict[int, Account]) -> HttpResponse:
    head = (
        "account", "site", "order", "line", "state", "reason", "shipped", "released", "due", "settled", "shipped value",
        "expected net", "paid", "open", "currency",
    )  # fmt: skip
    lines = (
        [
            accounts[row.account_id].code, row.line.order.site.code, row.line.order.external_id, row.line.external_id,
            row.state, row.reason, row.shipped_on, row.release_on, row.due_on, row.settled_on,
            row.shipped_value, row.expected_net, row.paid, row.open, row.currency,
        ]
        for row in rows
    )  # fmt: skip
    return as_csv("owed", head, lines)
