"""How far each account × flow has been read, and what was asked for when."""

from __future__ import annotations

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, MultiRangeField
from domventas.core.models import ClientModel, Kept
from marketplaces.models.accounts import Account


class Stream(ClientModel):
    """One flow of one account: its switch, its cursor with the fence, and the time it covers completely."""

    audited = ("is_paused", "replay_since", "asked_at", "asked_since")
    volatile = True

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="streams")
    flow = models.CharField(_("flow"), max_length=40)
    is_paused = models.BooleanField(_("paused"), default=False)
    version = models.BigIntegerField(_("fence"), default=0)
    coverage = MultiRangeField(_("covered"))
    window = DateTimeRangeField(_("window being read"), null=True, blank=True)
    token = models.TextField(_("page token"), blank=True)
    last_started_at = models.DateTimeField(_("last start"), null=True, blank=True)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True)
    complete_until = models.DateTimeField(_("complete up to"), null=True, blank=True)
    last_error_at = models.DateTimeField(_("last error at"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    last_error_kind = models.CharField(_("kind of error"), max_length=40, blank=True)
    failures = models.PositiveIntegerField(_("failures since the last success"), default=0)
    not_before = models.DateTimeField(_("left alone until"), null=True, blank=True)
    asked_at = models.DateTimeField(_("a person asked for a reading at"), null=True, blank=True)
    asked_since = models.DateTimeField(_("a person asked to read again from"), null=True, blank=True)
    replay_since = models.DateTimeField(_("archive asked again from"), null=True, blank=True)
    replay_next = models.DateTimeField(_("archive read again up to"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("stream")
        verbose_name_plural = _("streams")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "flow"], name="stream_client_account_flow_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.flow}"


class StreamDay(ClientModel):
    """What one day of a stream brought: rows truly accepted, so that rows deleted later are noticed as a gap."""

    volatile = True

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    flow = models.CharField(_("flow"), max_length=40)
    day = models.DateField(_("day"))
    accepted = models.PositiveIntegerField(_("accepted"), default=0)

    class Meta(ClientModel.Meta):
        verbose_name = _("day of a stream")
        verbose_name_plural = _("days of streams")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "flow", "day"], name="streamday_account_flow_day_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.flow} {self.day}"


class SyncWindow(ClientModel):
    """One window that was asked for: what came, what did not, how long it took."""

    volatile = True

    class Status(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    kept_for = Kept(days=90, since="started_at", why="how readings went; what was covered stands on the stream")

    stream = ClientForeignKey(Stream, on_delete=models.CASCADE, related_name="windows")
    window = DateTimeRangeField(_("window"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.RUNNING)
    reason = models.CharField(_("why it was read"), max_length=40, default="poll")
    pages = models.PositiveIntegerField(_("pages"), default=0)
    records = models.PositiveIntegerField(_("records"), default=0)
    written = models.PositiveIntegerField(_("rows written"), default=0)
    quarantined = models.PositiveIntegerField(_("quarantined"), default=0)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("sync window")
        verbose_name_plural = _("sync windows")
        indexes = [models.Index(fields=["client", "stream", "-started_at"], name="syncwindow_stream_started_idx")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.window}"


class ReportJob(ClientModel):
    """An asynchronous report: requested or found, polled, downloaded; never waited for inside a worker."""

    volatile = True

    class Status(models.TextChoices):
        REQUESTED = "requested", _("requested")
        PROCESSING = "processing", _("processing")
        READY = "ready", _("ready to download")
        DONE = "done", _("done")
        EMPTY = "empty", _("no data")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    kept_for = Kept(
        days=180, since="ended_at", why="longer than marketplaces list one, or it would be taken for a new one"
    )

    stream = ClientForeignKey(Stream, on_delete=models.CASCADE, related_name="report_jobs")
    report_ref = models.CharField(_("report id"), max_length=1000)
    document_ref = models.CharField(_("document id"), max_length=1000, blank=True)
    window = DateTimeRangeField(_("window"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.REQUESTED)
    message = models.CharField(_("message"), max_length=500, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)
    next_poll_at = models.DateTimeField(_("next poll"))
    created_at = models.DateTimeField(_("created"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("report job")
        verbose_name_plural = _("report jobs")
        constraints = [
            models.UniqueConstraint(fields=["client", "stream", "report_ref"], name="reportjob_client_stream_ref_uniq")
        ]
        indexes = [models.Index(fields=["client", "status", "next_poll_at"], name="reportjob_status_next_idx")]

    def __str__(self) -> str:
        return f"{self.report_ref} {self.status}"
