"""What accounts have asked their marketplaces to tell them, to look at and to ask for again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from domventas.core.errors import DomventasError
from marketplaces.models import Account, Subscription
from marketplaces.services import asking


@admin.register(Subscription)
class SubscriptionAdmin(FactsAdmin):
    """One row per account and topic; the marketplace decides what stands here."""

    list_display = ("account", "topic", "state", "since", "checked_at", "note")
    list_filter = ("state", "account", "topic")
    list_select_related = ("account",)
    ordering = ("account__code", "topic")
    actions = ("subscribe",)

    def has_subscribe_permission(self, request: HttpRequest) -> bool:
        """Those who look after the connections."""
        return bool(request.user.has_perm("marketplaces.change_subscription"))

    @admin.action(description=_("Subscribe"), permissions=["subscribe"])
    def subscribe(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        """Have the accounts' subscriptions brought in line; what delivers elsewhere is moved here."""
        for account in Account.objects.filter(pk__in=queryset.values("account_id")):
            try:
                asking.ask(account, now=clock(), move=True)
            except DomventasError as error:
                messages.error(request, f"{account}: {error.message}")
            else:
                messages.success(request, _("%(account)s: asked for; a job does it now.") % {"account": account})
