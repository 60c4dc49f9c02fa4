"""Today: what needs me, how yesterday went, what the machine did, what stands in the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.models import Client
from domventas.core.pages import GetForm, page
from domventas.core.tenancy import current_or_none
from marketplaces.models import Stream
from orders.selectors.stuck import Reason, Stuck, Tally, Urgency
from reports.selectors import today
from reports.selectors.writing_back import writing_back
from tickets.selectors import tickets


class Filters(GetForm):
    """Whose work to see."""

    owner = forms.ChoiceField(label=_("owner"), required=False, choices=[("", _("everyone")), ("me", _("me"))])


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Draw the page; strangers go to the login, operators without a client to the admin."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    acting = current_or_none()
    if acting is None:
        return redirect("admin:index")
    filters = Filters(request.GET)
    client = Client.objects.get(pk=acting.one)
    complete = _complete()
    now = max((moment for moment in complete.values() if moment), default=clock())
    local = now.astimezone(ZoneInfo(client.zone))
    day = (local - timedelta(days=1)).date()
    mine = filters.values["owner"] == "me"
    # An account's day is that of all brands together.
    rows = [] if acting.brands else today.yesterday(day=day, complete=complete)
    may_see_money = request.user.has_perm("finance.view_settlement")
    context = {
        "title": _("Today"),
        "client": client,
        "day": day,
        "before": day - timedelta(days=7),
        "do_now": tickets.do_now(owner_id=request.user.pk if mine else None) if _may_see_tickets(request) else None,
        "accounts": rows if may_see_money or request.user.has_perm("orders.view_order") else [],
        "overnight": today.overnight(since=now - timedelta(hours=24)),
        "told": writing_back(since=now - timedelta(hours=24)) if _may_see_pushes(request) else None,
        "conflicts": _conflicts(request),
        "now": now,
        "filters": filters.strip(request),
    }
    return page(request, "reports/today.html", context)


def _may_see_tickets(request: HttpRequest) -> bool:
    return request.user.has_perm("tickets.view_ticket")


def _may_see_pushes(request: HttpRequest) -> bool:
    return request.user.has_perm("marketplaces.view_pushflow")


def _complete() -> dict[int, datetime | None]:
    """Up to when the orders of each account have been read."""
    return dict(Stream.objects.filter(flow="orders").values_list("account_id", "complete_until"))


def _conflicts(request: HttpRequest) -> list[dict[str, Any]]:
    """What stands in the way, of what this person may look at."""
    counts, may = today.conflicts(), request.user.has_perm
    rows = (
        (
            "unmapped", _("Offers without a SKU"), "catalog.view_unmappeditem",
            reverse("admin:catalog_unmappeditem_changelist") + "?state__exact=open",
        ),
        (
            "inconsistent", _("Settlements whose header differs"), "finance.view_settlement",
            reverse("admin:finance_settlement_changelist") + "?status__exact=inconsistent",
        ),
        (
            "discrepancies", _("Payment discrepancies open"), "finance.view_settlement",
            reverse("finance:are_we_paid") + "#findings",
        ),
        (
            "quarantined", _("Records in quarantine"), "marketplaces.view_quarantined",
            reverse("admin:marketplaces_quarantined_changelist"),
        ),
    )  # fmt: skip
    found = [
        {"label": label, "count": counts[key], "url": url}
        for key, label, right, url in rows
        if counts[key] and may(right)
    ]
    return [*(_stuck() if may("orders.view_order") else []), *found]


def _stuck() -> list[dict[str, Any]]:
    """Stuck orders by reason, as their own page counts them, with how many of each have still to leave."""
    by_reason = Stuck(now=clock()).tallies().by_reason
    return [_stuck_row(reason, by_reason[reason]) for reason in Reason if by_reason[reason].orders]


def _stuck_row(reason: Reason, tally: Tally) -> dict[str, Any]:
    row = {
        "label": _("Orders: %(reason)s") % {"reason": reason.label},
        "count": tally.orders,
        "url": f"{reverse('orders:stuck')}?reason={reason.value}",
    }
    if reason != Reason.LATE:  # all of those have still to leave, and are late
        row |= {
            "lines": tally.lines,
            "to_ship": tally.to_leave,
            "late": tally.by_urgency[Urgency.LATE],
            "soon": tally.by_urgency[Urgency.SOON],
        }
    return row
