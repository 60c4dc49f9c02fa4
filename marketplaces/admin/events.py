"""Inlets to set up, and the events that came through them to look at and to replay."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import escape, format_html_join
from django.utils.timezone import localtime
from django.utils.timezone import now as clock
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from domventas.core import access
from domventas.core.admin import ClientForm, FactsAdmin, HouseAdmin
from domventas.core.errors import DomventasError, Refused
from domventas.core.links import to_raw
from domventas.core.models import PiiAccess
from domventas.core.reveal import Revealed, Revealing
from marketplaces.models import Account, InboundEvent, Inlet
from marketplaces.registry import connectors
from marketplaces.selectors import arrivals
from marketplaces.services import inbox, inlets

#: Longest part of a message that is shown [characters].
SHOWN = 50_000


class InletForm(ClientForm):
    """What a person enters; the secret goes in and is never shown again."""

    key_id = forms.CharField(
        label=_("Key of the queue"), required=False, widget=UnfoldAdminTextInputWidget,
        help_text=_("Only for a queue of your own; its access key id."),
    )  # fmt: skip
    secret = forms.CharField(
        label=_("Secret"), required=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_("Agreed with the sender, at least 16 characters; or the secret of your own queue."),
    )  # fmt: skip

    #: Set by the admin. Whoever shares the platform's queue under a seller's id gets that seller's messages.
    is_operator = False

    class Meta:
        model = Inlet
        fields = ("account", "kind", "queue_url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["secret"].required = True
            told = _("Replaces the one that ends in …%(end)s. A webhook's old one counts for another day.")
            self.fields["secret"].help_text = escape(told % {"end": self.instance.fingerprint})  # drawn as it is
        else:
            able = [name for name, connector in connectors.items() if connector.events]
            accounts: Any = self.fields["account"]
            accounts.queryset = Account.objects.filter(channel__in=able)
            told = _("https://sqs.<region>.amazonaws.com/<number>/<name>; empty means the platform's own queue.")
            self.fields["queue_url"].help_text = escape(told)

    def clean(self) -> dict[str, Any]:
        """The service does it here already, so that what it refuses is told at the form."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return found
        try:
            self.made = self._put(found)
        except DomventasError as error:
            self.add_error(None, error.message)
        return found

    def _put(self, found: dict[str, Any]) -> Inlet:
        now, secret, key_id = clock(), found["secret"], found.get("key_id", "")
        if self.instance.pk:
            inlets.set_secret(self.instance, secret, key_id=key_id, now=now)
            return self.instance
        if found["kind"] == Inlet.Kind.QUEUE and not found.get("queue_url") and not self.is_operator:
            raise Refused(gettext("Only a platform operator lets an account share the platform's queue."))
        if found["kind"] == Inlet.Kind.WEBHOOK:
            return inlets.open_webhook(found["account"], secret=secret, now=now)
        return inlets.open_queue(
            found["account"], queue_url=found.get("queue_url", ""), key_id=key_id, secret=secret, now=now
        )


@admin.register(Inlet)
class InletAdmin(HouseAdmin):
    """Webhook addresses and queues of accounts: open, give a new secret, close."""

    form = InletForm
    list_display = ("account", "kind", "address", "fingerprint", "set_by", "set_at", "closed_at")
    list_filter = ("kind", ("closed_at", admin.EmptyFieldListFilter))
    list_select_related = ("account",)
    search_fields = ("account__name", "key")
    actions = ("close",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Inlet]:
        """Lists do without the secrets."""
        return super().get_queryset(request).defer("secrets")

    def get_form(self, request: HttpRequest, obj: Inlet | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Knows whether an operator of the platform fills it in."""
        kwargs["form"] = type(
            "OwnInletForm", (InletForm,), {"is_operator": getattr(request.user, "is_operator", False)}
        )
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Inlet | None = None) -> Any:
        """A new inlet's account and kind; of an open one only its secret can be changed."""
        if obj is None:
            return ("account", "kind", "queue_url", "key_id", "secret")
        obj.at = request.build_absolute_uri("/").rstrip("/")  # type: ignore[attr-defined]  # for this page only
        secret = ("key_id", "secret") if obj.queue_url else ("secret",) if obj.kind == Inlet.Kind.WEBHOOK else ()
        shown = ("account", "kind", "address", "fingerprint", "set_by", "set_at", "closed_at", "turned_away")
        return (*shown, *secret) if obj.closed_at is None and self.has_change_permission(request) else shown

    def get_readonly_fields(self, request: HttpRequest, obj: Inlet | None = None) -> Any:
        """What it is cannot change: a new one has a new address."""
        fixed = ("account", "kind", "address", "fingerprint", "set_by", "set_at", "closed_at", "turned_away")
        return fixed if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Inlet | None = None) -> bool:
        """It is closed, not deleted: what came through it stays explained."""
        return False

    def save_model(self, request: HttpRequest, obj: Inlet, form: Any, change: bool) -> None:
        """The form has put it through the services already."""
        obj.pk, obj.client_id, obj._state.adding = form.made.pk, form.made.client_id, False

    @admin.display(description=_("address"))
    def address(self, inlet: Inlet) -> str:
        """Where the sender has to send to, or the queue."""
        if inlet.kind == Inlet.Kind.WEBHOOK:
            return f"{getattr(inlet, 'at', '')}/in/{inlet.key}"
        return inlet.queue_url or str(_("the platform's queue"))

    @admin.display(description=_("turned away"))
    def turned_away(self, inlet: Inlet) -> str:
        """Messages nothing proved, hour by hour."""
        rows = ((f"{localtime(row.hour):%Y-%m-%d %H:%M}", row.count, row.why) for row in arrivals.turned_away(inlet))
        return format_html_join("", "<div>{}: {} ({})</div>", rows) or "–"

    @admin.action(description=_("Close"), permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Inlet]) -> None:
        """Answer there no more."""
        for inlet in queryset:
            inlets.close(inlet, now=clock())
        messages.success(request, _("Closed. Whoever sends there gets “not found” from now on."))


@admin.register(InboundEvent)
class InboundEventAdmin(Revealing, FactsAdmin):
    """What marketplaces told us, and what became of it; the bytes only to those who may see buyers, for a reason."""

    list_display = (
        "received_at", "account", "kind", "flow", "ref", "state", "attempts", "not_before", "note", "source",
        "raw_link",
    )  # fmt: skip
    list_filter = ("state", "source", "flow", "account", "received_at")
    list_select_related = ("account",)
    search_fields = ("event_id", "ref", "kind")
    ordering = ("-received_at", "-pk")
    actions = ("replay",)
    readonly_fields = (
        "account", "source", "event_id", "kind", "flow", "ref", "occurred_at", "received_at", "state", "attempts",
        "not_before", "ended_at", "note", "raw_link", "purge_at", "reveal_link",
    )  # fmt: skip
    fields = readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundEvent]:
        """Lists do without the bytes."""
        return super().get_queryset(request).defer("body")

    def revealed(self, row: InboundEvent, *, reason: str, way: PiiAccess.Way) -> Revealed:
        """The message as it came."""
        text = inbox.body_of(row).decode("utf-8", "replace")[:SHOWN]
        access.note(row, fields=["body"], reason=reason, now=clock(), label=row.event_id, way=way)
        return Revealed(text=text)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Those who look after the connections."""
        return bool(request.user.has_perm("marketplaces.change_inboundevent"))

    @admin.display(description=_("raw document"))
    def raw_link(self, event: InboundEvent) -> str:
        """What was fetched because of it."""
        return to_raw(event.raw_id, _("raw document"))

    @admin.action(description=_("Work on it once more"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[InboundEvent]) -> None:
        """As if they had just come."""
        count = inbox.replay(queryset.select_related("account"), now=clock())
        messages.success(request, _("%(count)d events wait to be worked on.") % {"count": count})
