"""Stuck orders: why they do not move, how urgent each is, and the one step that frees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from catalog.selectors.unmapped import items_of
from domventas.core.pages import GetForm, page, with_query
from domventas.core.sheets import as_csv
from domventas.core.whomay import who_may
from marketplaces.models import Account, AccountSite
from orders.models import Order, OrderException
from orders.pages import causes
from orders.pages.causes import CAUSES
from orders.selectors import held
from orders.selectors.stuck import SORTS, Reason, Stuck, Tallies, Tally, Urgency, Wanted, held_lines, unread_elsewhere
from orders.services import exceptions

PER_PAGE: Final = 50
#: So many held offers stand above the orders of all reasons, and two more before they are cut; the reason's own page
#: has the others.
FIRST_OFFERS: Final = 8
#: What a held line needs, and what a late order needs.
MAP, SHIP = "catalog.change_unmappeditem", "orders.add_shipment"
SORT_NAMES: Final = (
    ("urgency", _("the most urgent first")),
    ("ship_by", _("by ship-by date")),
    ("oldest", _("the oldest first")),
    ("newest", _("the newest first")),
    ("value", _("the dearest first, by currency")),
)

#: Urgencies as a column has room for them.
SHORT: Final = {
    Urgency.LATE: _("late"), Urgency.SOON: _("within 24 h"), Urgency.AHEAD: _("later"), Urgency.BOOKS: _("only books"),
}  # fmt: skip


class Filters(GetForm):
    """Which stuck orders, and in which order they stand."""

    reason = forms.ChoiceField(label=_("reason"), required=False, choices=[("", _("all")), *Reason.choices])
    urgency = forms.ChoiceField(label=_("urgency"), required=False, choices=[("", _("all")), *Urgency.choices])
    account = forms.ChoiceField(label=_("account"), required=False)
    site = forms.ChoiceField(label=_("site"), required=False)
    offer = forms.CharField(label=_("offer"), required=False, max_length=120)
    sort = forms.ChoiceField(label=_("sorted"), required=False, choices=SORT_NAMES, initial="urgency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Account.objects.order_by("name").values_list("code", "name")
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField
        sites = AccountSite.objects.order_by("site__code").values_list("site__code", flat=True).distinct()
        self.fields["site"].choices = [("", _("all")), *((x, x) for x in sites)]  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Wanted:
        """What to select by."""
        return Wanted(**{name: value or "" for name, value in self.values.items() if name != "sort"})


@require_GET
@permission_required("orders.view_order", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw reasons, held offers and orders, fifty at a time, or all of a table as CSV (`?format=csv&table=`)."""
    now = clock()
    filters, found = Filters(request.GET), Stuck(now=now)
    wanted = filters.wanted
    orders = found.orders(wanted).order_by(*SORTS[filters.values["sort"]])
    groups = _groups(found, wanted)
    if request.GET.get("format") == "csv":
        return _file(request, found, orders, groups)
    shown = Paginator(_detailed(orders), PER_PAGE).get_page(request.GET.get("page"))
    offers = _offers(request, wanted, groups)
    items = items_of((order.account_id, line.offer_ref) for order in shown for line in order.held)
    tallies = found.tallies(wanted)
    may = request.user.has_perm
    context = {
        "title": _("Stuck orders"),
        "wanted": wanted,
        "every": tallies.every,
        "urgencies": _urgencies(request, tallies, wanted),
        "reasons": _reasons(request, tallies, wanted),
        "all_url": with_query(request, reason=None, offer=None, **FIRST),
        "any_urgency_url": with_query(request, urgency=None, **FIRST),
        "count": _count(tallies, wanted),
        "leave": _count(tallies, wanted).to_leave,
        "reason_label": Reason(wanted.reason).label if wanted.reason else "",
        "rows": [causes.row(request, order, found.untold.get(order.pk), now=now, items=items) for order in shown],
        "turns": _turns(request, shown, "page"),
        "offers": [(offer, with_query(request, offer=offer.offer_ref, site=offer.site, **FIRST) + "#orders")
                   for offer in held.described(offers)],
        "offer_count": held.offers(_held(found, wanted)) if offers else 0,
        "offer_rows": offers.paginator.count if offers else 0,
        "offer_turns": _turns(request, offers, "offers") if offers and wanted.reason else None,
        "offers_url": with_query(request, reason=Reason.HELD, offer=None, **FIRST),
        "offers_csv": with_query(request, format="csv", table="offers"),
        "sorts": {name: with_query(request, sort=name, **FIRST) + "#orders" for name in SORTS},
        "sort": filters.values["sort"],
        "unread_count": unread_elsewhere(),
        "next_url": _next_url(request),
        "is_narrowed": any(request.GET.get(name) for name in filters.fields),
        "here": request.get_full_path(),
        "may_map": may(MAP),
        "who_maps": who_may(request, MAP, _("Mapping an offer")),
        "who_ships": who_may(request, SHIP, _("Confirming a parcel")),
        "may_see_items": may("catalog.view_unmappeditem"),
        "may_see_runbook": may("marketplaces.view_stream"),
        "may_see_to": may("orders.change_orderexception"),
        "may_export": may("orders.export_order"),
        "now": now,
        "filters": filters.strip(request, csv=may("orders.export_order")),
    }  # fmt: skip
    return page(request, "orders/stuck.html", context)


@require_POST
@permission_required("orders.change_orderexception", raise_exception=True)
def see_to(request: HttpRequest) -> HttpResponse:
    """Close what is odd about the orders named by `order`, and go back to the filters in the address."""
    keys = [int(key) for key in request.POST.getlist("order") if key.isdecimal() and len(key) < 19]
    done = exceptions.resolve(Order.objects.filter(pk__in=keys), actor=str(request.user), now=clock())
    told = ngettext("%(count)d oddity is seen to.", "%(count)d oddities are seen to.", done)
    messages.success(request, told % {"count": done})
    return redirect(f"{request.path.removesuffix('seen/')}?{request.GET.urlencode()}")


#: Other rows begin at their first page.
FIRST: Final[dict[str, None]] = {"page": None, "offers": None}


def _next_url(request: HttpRequest) -> str:
    """Where the waves stand that have to leave next."""
    return f"{reverse('tickets:board')}?type=unshipped_order" if request.user.has_perm("tickets.view_ticket") else ""


def _groups(found: Stuck, wanted: Wanted) -> QuerySet[Any, dict[str, Any]] | None:
    """What the wanted orders wait for, by offer; None for a reason that has nothing to do with offers."""
    if wanted.reason not in ("", Reason.HELD):
        return None
    return held.by_offer(_held(found, wanted), now=found.now)


def _held(found: Stuck, wanted: Wanted) -> QuerySet[Any]:
    return found.orders(replace(wanted, reason=Reason.HELD))


def _offers(request: HttpRequest, wanted: Wanted, groups: QuerySet[Any, dict[str, Any]] | None) -> Any:
    """The offers of this page: the first few among all reasons, else all of them, page by page."""
    if groups is None:
        return []
    if wanted.reason:
        return Paginator(groups, PER_PAGE).get_page(request.GET.get("offers"))
    return Paginator(groups, FIRST_OFFERS, orphans=2).get_page(1)


def _count(tallies: Tallies, wanted: Wanted) -> Tally:
    return tallies.by_reason[wanted.reason] if wanted.reason else tallies.every


def _urgencies(request: HttpRequest, tallies: Tallies, wanted: Wanted) -> list[dict[str, Any]]:
    of = _count(tallies, wanted)
    return [
        {
            "name": urgency.value,
            "label": urgency.label,
            "count": of.by_urgency[urgency],
            "url": with_query(request, urgency=urgency.value, **FIRST),
        }
        for urgency in Urgency
        if of.by_urgency[urgency]
    ]


def _reasons(request: HttpRequest, tallies: Tallies, wanted: Wanted) -> list[dict[str, Any]]:
    return [
        {
            "label": reason.label,
            "cause": CAUSES[reason],
            "count": tallies.by_reason[reason],
            "sums": sorted(tallies.by_reason[reason].sums.items()),
            "urgencies": [
                (urgency.value, SHORT[urgency], tallies.by_reason[reason].by_urgency[urgency])
                for urgency in Urgency
                if tallies.by_reason[reason].by_urgency[urgency]
            ],
            "url": with_query(request, reason=reason.value, offer=None, **FIRST),
            "is_open": reason == wanted.reason,
        }
        for reason in Reason
        if tallies.by_reason[reason].orders
    ]


def _turns(request: HttpRequest, shown: Any, name: str) -> dict[str, Any]:
    """Where a long table stands, and the addresses of its neighbors."""
    return {
        "number": shown.number,
        "pages": shown.paginator.num_pages,
        "before": with_query(request, **{name: shown.number - 1}) if shown.has_previous() else "",
        "after": with_query(request, **{name: shown.number + 1}) if shown.has_next() else "",
    }


def _detailed(orders: QuerySet[Any]) -> QuerySet[Any]:
    """With the lines that are held and what is odd, for the rows shown."""
    odd = OrderException.objects.filter(resolved_at=None).order_by("code")
    return orders.select_related("account", "site").prefetch_related(
        Prefetch("lines", queryset=held_lines().order_by("external_id"), to_attr="held"),
        Prefetch("exceptions", queryset=odd, to_attr="odd"),
    )


def _file(request: HttpRequest, found: Stuck, orders: QuerySet[Any], groups: Any) -> HttpResponse:
    """The table as the page shows it, with all of its rows. Raises: PermissionDenied: the person may not export."""
    if not request.user.has_perm("orders.export_order"):
        raise PermissionDenied
    if request.GET.get("table") == "offers" and groups is not None:
        return _offers_file(held.described(groups))
    rows = _detailed(orders).iterator(chunk_size=2000)
    return _orders_file(causes.row(request, order, found.untold.get(order.pk), now=found.now) for order in rows)


def _orders_file(rows: Iterable[causes.Row]) -> HttpResponse:
    head = (
        "account", "site", "order", "status", "fulfilled by", "placed", "ship by", "hours left", "urgency", "reasons",
        "details", "what it holds up", "next step", "held lines", "value", "currency",
    )  # fmt: skip
    return as_csv("stuck-orders", head, (list(_cells(row)) for row in rows))


def _cells(row: causes.Row) -> Iterator[object]:
    order, left = row.order, row.left
    yield from (order.account.code, order.site.code, order.external_id, order.status, order.fulfillment)
    yield from (order.ordered_at.isoformat(), order.ship_by.isoformat() if order.ship_by else None)
    yield None if left is None else round(left.total_seconds() / 3600, 1)
    yield Urgency(row.urgency).label
    for name in ("label", "detail", "blocks", "step"):
        yield "; ".join(filter(None, (getattr(why, name) for why in row.whys)))
    yield from (len(order.held), order.value, order.currency)


def _offers_file(offers: Iterable[held.HeldOffer]) -> HttpResponse:
    head = (
        "account", "site", "offer", "seller sku", "title", "orders", "lines", "past ship-by", "within 24 hours",
        "to ship later", "first ship-by", "value with tax", "currency", "suggested sku", "why this sku", "state",
    )  # fmt: skip
    rows = (
        (
            offer.account_code, offer.site, offer.offer_ref, offer.seller_sku, offer.title, offer.orders, offer.lines,
            offer.late, offer.soon, offer.ahead, offer.ship_by.isoformat() if offer.ship_by else None, offer.value,
            offer.currency, offer.item.candidate.code if offer.item and offer.item.candidate else None,
            offer.item.candidate_reason if offer.item else None, offer.item.state if offer.item else None,
        )
        for offer in offers
    )  # fmt: skip
    return as_csv("held-offers", head, rows)
