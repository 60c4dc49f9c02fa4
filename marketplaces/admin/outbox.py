"""The outbox in the admin: every command with its calls, to look at and to decide about; nothing is written by hand."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.admin import FactsAdmin, FactsInline
from marketplaces.models import OutboxAttempt, OutboxCommand, PushFlow, PushSwitch
from marketplaces.services import outbox


class AttemptInline(FactsInline):
    """Every call made for it."""

    model = OutboxAttempt
    fields = ("started_at", "kind", "ended_at", "outcome", "message", "request_id")
    readonly_fields = fields
    ordering = ("-pk",)
    show_change_link = False


@admin.register(OutboxCommand)
class OutboxCommandAdmin(FactsAdmin):
    """What marketplaces were told, are being told, or were not told."""

    list_display = (
        "subject", "account", "verb", "state", "message", "attempts", "created_at", "next_at", "settled_at",
        "provider_ref",
    )  # fmt: skip
    list_filter = ("state", "account", "verb")
    list_select_related = ("account",)
    search_fields = ("subject", "key", "order_key", "provider_ref")
    ordering = ("-pk",)
    fields = (
        "subject", "account", "verb", "state", "message", "told", "provider_ref", "attempts", "created_at",
        "created_by", "next_at", "sent_at", "settled_at",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (AttemptInline,)
    actions = ("look_again", "release", "give_up")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Those who look after the connections."""
        return bool(request.user.has_perm("marketplaces.change_outboxcommand"))

    @admin.display(description=_("command"))
    def told(self, command: OutboxCommand) -> str:
        """What the marketplace is told, field by field."""
        rows = ((name, value) for name, value in command.payload.items() if value not in (None, "", []))
        return format_html_join("", "<div>{}: {}</div>", rows)

    @admin.action(description=_("Look up again; send what did not arrive"), permissions=["steer"])
    def look_again(self, request: HttpRequest, queryset: QuerySet[OutboxCommand]) -> None:
        """Ask the marketplace whether they arrived, and send only what is proved absent."""
        count = outbox.look_again(queryset, now=clock())
        _told(request, count, ngettext("%(count)d is looked up.", "%(count)d are looked up.", count))

    @admin.action(description=_("Send what was held (it was not told in another way)"), permissions=["steer"])
    def release(self, request: HttpRequest, queryset: QuerySet[OutboxCommand]) -> None:
        """Let held commands go out."""
        count = outbox.release(queryset, now=clock())
        _told(request, count, ngettext("%(count)d waits to be sent.", "%(count)d wait to be sent.", count))

    @admin.action(description=_("Give up: seen to by hand"), permissions=["steer"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[OutboxCommand]) -> None:
        """Stop trying."""
        count = outbox.give_up(queryset, actor=request.user.get_username(), now=clock())
        _told(request, count, ngettext("%(count)d was given up.", "%(count)d were given up.", count))


@admin.register(OutboxAttempt)
class OutboxAttemptAdmin(FactsAdmin):
    """Every call that told or looked, the newest first."""

    list_display = ("started_at", "command", "kind", "outcome", "message", "ended_at", "request_id")
    list_filter = ("kind", "outcome", "command__account")
    list_select_related = ("command",)
    search_fields = ("command__subject", "request_id")
    ordering = ("-pk",)


@admin.register(PushFlow)
class PushFlowAdmin(FactsAdmin):
    """Which commands may leave which account; switched on the page *Writing back*."""

    list_display = ("account", "verb", "mode", "why", "changed_by", "changed_at", "page_link")
    list_filter = ("mode", "verb")
    list_select_related = ("account",)
    ordering = ("account__code", "verb")

    @admin.display(description=_("page"))
    def page_link(self, flow: PushFlow) -> str:
        """Where it is switched."""
        return format_html('<a href="{}">{}</a>', reverse("marketplaces:pushes"), _("Writing back"))


@admin.register(PushSwitch)
class PushSwitchAdmin(FactsAdmin):
    """The client's one switch."""

    list_display = ("is_stopped", "why", "changed_by", "changed_at")


def _told(request: HttpRequest, count: int, words: str) -> None:
    level = messages.SUCCESS if count else messages.WARNING
    messages.add_message(request, level, words % {"count": count})
