"""What should run, what runs, and how it ended: PostgreSQL knows, the broker only carries hints."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from domventas.core.models.base import ClientModel
from domventas.core.models.kept import Kept


class Firing(models.Model):
    """A slot of a scheduled job that has been fired: no second leader fires it again. Global, no business data."""

    kept_for: ClassVar[Kept] = Kept(
        days=30, since="slot", but_newest_per=("task",),
        why="no leader looks further back; the newest tells a new one what it owes",
    )  # fmt: skip

    task = models.CharField(_("task"), max_length=100)
    slot = models.DateTimeField(_("slot"))
    fired_at = models.DateTimeField(_("fired at"))

    class Meta:
        verbose_name = _("firing")
        verbose_name_plural = _("firings")
        constraints = [models.UniqueConstraint(fields=["task", "slot"], name="firing_task_slot_uniq")]

    def __str__(self) -> str:
        return f"{self.task} {localtime(self.slot):%Y-%m-%d %H:%M:%S}"


class TaskRun(ClientModel):
    """One run of one job for a client (and account): attempts are counted here before the work begins.

    `starts` counts starts since the last progress or recorded end; three of them quarantine the run. `attempt` is
    the fence: whoever writes with an older one is out.
    """

    volatile = True

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped, the one before still ran")
        QUARANTINED = "quarantined", _("quarantined")

    kept_for = Kept(
        days=60, since="created_at", only=models.Q(state__in=[State.DONE, State.SKIPPED, State.FAILED]),
        why="what ran in the last two months; what was put aside waits for people as long as it takes",
    )  # fmt: skip

    task = models.CharField(_("task"), max_length=100)
    account_id = models.BigIntegerField(_("account"), default=0)
    slot = models.DateTimeField(_("slot"))
    lock_key = models.CharField(_("lock"), max_length=200)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    starts = models.PositiveIntegerField(_("starts since the last progress"), default=0)
    errors = models.PositiveIntegerField(_("errors"), default=0)
    progress = models.JSONField(_("progress"), default=dict)
    note = models.CharField(_("note"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"))
    seen_at = models.DateTimeField(_("last sign of life"))
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("task run")
        verbose_name_plural = _("task runs")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "task", "account_id", "slot"], name="taskrun_client_task_slot_uniq"
            )
        ]
        indexes = [
            models.Index(
                fields=["client", "state", "seen_at"],
                name="taskrun_client_open_idx",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["client", "-created_at"], name="taskrun_client_created_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {localtime(self.slot):%Y-%m-%d %H:%M}"


class Dispatch(ClientModel):
    """A message that has still to be handed to the broker; written in the transaction that wants the work done."""

    volatile = True

    run_id = models.BigIntegerField(_("run"))

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("dispatch")
        verbose_name_plural = _("dispatches")
        constraints = [models.UniqueConstraint(fields=["client", "run_id"], name="dispatch_client_run_uniq")]

    def __str__(self) -> str:
        return str(self.run_id)
