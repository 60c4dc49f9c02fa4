"""Streams, the windows that were read, and reports under way."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from domventas.core.links import to_list, to_raw
from marketplaces.models import RawDocument, ReportJob, Stream, SyncWindow
from marketplaces.services import schedule, streams
from marketplaces.services.claims import Busy


@admin.register(Stream)
class StreamAdmin(FactsAdmin):
    """How far each flow of each account has been read; pause it, run it, or read time again."""

    list_display = (
        "account", "flow", "is_paused", "complete_until", "last_success_at", "failures", "last_error", "windows_link",
        "raw_link",
    )  # fmt: skip
    list_filter = ("account", "flow", "is_paused", "last_error_kind")
    list_select_related = ("account",)
    ordering = ("account__code", "flow")
    actions = ("run_now", "pause", "resume", "reread_week", "reread_month")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Those who look after the connections."""
        return bool(request.user.has_perm("marketplaces.change_stream"))

    @admin.display(description=_("windows"))
    def windows_link(self, stream: Stream) -> str:
        """What was asked for."""
        return to_list(SyncWindow, _("windows"), stream__id__exact=stream.pk)

    @admin.display(description=_("raw documents"))
    def raw_link(self, stream: Stream) -> str:
        """What came."""
        return to_list(RawDocument, _("raw documents"), account_id=stream.account_id, flow=stream.flow)

    @admin.action(description=_("Read now"), permissions=["steer"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Ask for one reading outside the timetable."""
        runs = [schedule.run_now(stream, now=clock()) for stream in queryset.select_related("account")]
        messages.success(request, _("%(count)d readings asked for.") % {"count": len(runs)})

    @admin.action(description=_("Pause"), permissions=["steer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Stop reading."""
        streams.pause(list(queryset))

    @admin.action(description=_("Resume"), permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Read again."""
        streams.resume(list(queryset))

    @admin.action(description=_("Read the last 7 days again"), permissions=["steer"])
    def reread_week(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Let a week count as unread."""
        self._reread(request, queryset, timedelta(days=7))

    @admin.action(description=_("Read the last 30 days again"), permissions=["steer"])
    def reread_month(self, request: HttpRequest, queryset: QuerySet[Stream]) -> None:
        """Let a month count as unread."""
        self._reread(request, queryset, timedelta(days=30))

    def _reread(self, request: HttpRequest, queryset: QuerySet[Stream], span: timedelta) -> None:
        now = clock()
        for stream in queryset:
            try:
                streams.reread(stream, since=now - span, now=now)
            except Busy as error:
                messages.error(request, f"{stream}: {error.message}")
            else:
                messages.success(request, _("%(stream)s: asked for with the next reading.") % {"stream": stream})


@admin.register(SyncWindow)
class SyncWindowAdmin(FactsAdmin):
    """What was asked for, and what came."""

    list_display = (
        "stream",
        "window",
        "reason",
        "status",
        "pages",
        "records",
        "written",
        "quarantined",
        "started_at",
        "error",
    )
    list_filter = ("status", "reason", "stream")
    list_select_related = ("stream__account",)
    ordering = ("-started_at",)


@admin.register(ReportJob)
class ReportJobAdmin(FactsAdmin):
    """Reports that a marketplace makes while nobody waits."""

    list_display = ("report_ref", "stream", "status", "created_at", "next_poll_at", "attempts", "message", "raw_link")
    list_filter = ("status", "stream")
    list_select_related = ("stream__account",)
    search_fields = ("report_ref", "document_ref")
    ordering = ("-created_at",)

    @admin.display(description=_("raw document"))
    def raw_link(self, job: ReportJob) -> str:
        """The document it brought."""
        return to_raw(job.raw_id, _("raw document"))
