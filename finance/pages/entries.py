"""The entries behind a figure of the roll-forward: what they are of, and that they add up to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.pages import GetForm, page
from domventas.core.templatetags.figures import spoken
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.selectors.entries import WHATS, Entries, Entry
from marketplaces.models import Account

PER_PAGE: Final = 50
#: Entries read at once for a file.
_PART: Final = 5000
#: The columns of the roll-forward, as the page calls them.
COLUMNS: Final = dict(
    zip(
        WHATS,
        (_("Sales"), _("Refunds"), _("Fees"), _("Tax withheld"), _("Payouts"), _("Unexplained"), _("Awaiting order")),
        strict=True,
    )
)


class Filters(GetForm):
    """Whose entries, in which currency and column, from which day to which; both days are in it."""

    account = forms.ChoiceField(label=_("account"), required=False)
    currency = forms.CharField(label=_("currency"), required=False, max_length=3)
    what = forms.ChoiceField(label=_("column"), required=False, choices=[("", _("all")), *COLUMNS.items()])

    def __init__(self, *args: Any, accounts: Iterable[Account], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = [(account.code, account.name) for account in accounts]
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["from"] = forms.DateField(label=_("from"), required=False)
        self.fields["to"] = forms.DateField(label=_("to"), required=False)


@require_GET
@permission_required("finance.view_settlement", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the entries, fifty at a time, or all as CSV."""
    accounts = list(Account.objects.order_by("name"))
    filters = Filters(request.GET, accounts=accounts)
    values = filters.values
    chosen = next((account for account in accounts if account.code == values["account"]), None)
    rows = Entries(
        account=chosen.pk if chosen else None, currency=(values["currency"] or "").upper(), what=values["what"] or "",
        since=values["from"], until=values["to"],
    )  # fmt: skip
    names = {account.pk: account for account in accounts}
    if wants_csv(request):
        return _csv(rows, names)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    what = COLUMNS.get(values["what"] or "")
    context = {
        "title": what or (_("Balance, entry by entry") if values["from"] else _("Balance up to a day, entry by entry")),
        "since": values["from"],
        "until": values["to"],
        "chosen": chosen,
        "rows": [(row, names[row.account_id].name, COLUMNS[row.what], _words(row), _url(row)) for row in shown],
        "sums": rows.sums,
        "steps": steps(request, shown),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "finance/entries.html", context)


def _words(row: Entry) -> str:
    """What was sold, given back, charged or booked."""
    return ", ".join(spoken(kind) for kind in row.kinds)


def _url(row: Entry) -> str:
    if row.of == "order":
        return reverse("orders:order", args=[row.target])
    if row.of == "settlement":
        return reverse("finance:settlement", args=[row.target])
    return f"{reverse('admin:finance_payout_changelist')}?{urlencode({'q': row.ref})}"


def _csv(rows: Entries, accounts: Mapping[int, Account]) -> HttpResponse:
    def lines() -> Iterable[list[object]]:
        for start in range(0, len(rows), _PART):
            for row in rows[start : start + _PART]:
                yield [row.day, accounts[row.account_id].code, row.what, row.of, row.ref, row.sku, " ".join(row.kinds),
                       row.amount, row.currency]  # fmt: skip

    head = ("day", "account", "column", "of", "number", "seller sku", "kinds", "amount", "currency")
    return as_csv("entries", head, lines())
