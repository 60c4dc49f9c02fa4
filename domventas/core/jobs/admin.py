"""Task runs in the admin: what ran, what waits, what gave up, and letting the latter begin anew."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Case, CharField, QuerySet, Value, When
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.admin import FactsAdmin
from domventas.core.jobs import declare
from domventas.core.jobs.requeue import GAVE_UP, requeue
from domventas.core.models import TaskRun


class TaskFilter(admin.SimpleListFilter):
    """By row of the timetable."""

    title, parameter_name = _("task"), "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What the code declares; the table is not asked."""
        return [(name, name) for name in declare.rows() if not name.startswith("test.")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
        """Runs of that row."""
        return queryset.filter(task=self.value()) if self.value() else queryset


class AccountFilter(admin.SimpleListFilter):
    """By account, as people call it."""

    title, parameter_name = _("account"), "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The client's accounts."""
        return [(str(number), name) for number, name in declare.member_names().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
        """Runs for that account; whatever is no number finds nothing."""
        value = self.value() or ""
        if not value:
            return queryset
        return queryset.filter(account_id=int(value)) if value.isdecimal() else queryset.none()


@admin.register(TaskRun)
class TaskRunAdmin(FactsAdmin):
    """What ran, what waits, what was put aside: to read, and to begin anew."""

    list_display = ("task", "account", "slot", "state", "attempt", "errors", "started_at", "ended_at", "note")
    list_filter = ("state", TaskFilter, AccountFilter)
    search_fields = ("task", "note", "state")
    search_help_text = _("part of a task's name, of what the note says, or of a state")
    ordering = ("-created_at", "-pk")
    actions = ("requeue",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskRun]:
        """With the accounts' names, asked for once."""
        named = [When(account_id=number, then=Value(name)) for number, name in declare.member_names().items()]
        account = Case(*named, default=Value(""), output_field=CharField())
        return super().get_queryset(request).annotate(account_name=account)

    @admin.display(description=_("account"), ordering="account_name", empty_value="–")
    def account(self, run: TaskRun) -> str | None:
        """For which account; a dash where the job is the client's as a whole."""
        return getattr(run, "account_name", "") or None

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        """Those who may change connections and jobs."""
        return request.user.has_perm("core.change_taskrun")

    @admin.action(description=_("Requeue: begin anew what gave up"), permissions=["requeue"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[TaskRun]) -> TemplateResponse | None:
        """Ask first, then let the chosen runs begin anew."""
        chosen = list(queryset.filter(state__in=GAVE_UP))
        if not chosen:
            messages.warning(request, _("Nothing to requeue: none of these runs was put aside or has failed."))
            return None
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {
                "title": _("Requeue these runs?"), "runs": chosen, "others": queryset.count() - len(chosen),
                "opts": self.model._meta, "media": self.media, "checkbox": ACTION_CHECKBOX_NAME,
            }  # fmt: skip
            return TemplateResponse(request, "core/requeue.html", context)
        count = requeue(chosen, now=clock())
        text = ngettext("%(n)d run begins anew within seconds.", "%(n)d runs begin anew within seconds.", count)
        messages.success(request, text % {"n": count})
        return None
