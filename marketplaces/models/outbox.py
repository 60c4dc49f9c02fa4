"""What we tell marketplaces: commands that wait, went out or were settled, each call, and the switches before them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, EncryptedJSONField
from domventas.core.models import ClientModel, Kept
from marketplaces.models.accounts import Account


class PushFlow(ClientModel):
    """Whether one kind of command may leave one account. A new one starts in shadow: formed and shown, never sent.

    Attributes:
        burst_until: until then as many commands may leave in one go as there are; somebody has looked at them.
        shadow_since: since when it has been in shadow without a break; None while it is not.
        was_live: it has been live once, so it has done its days in shadow.
        is_early: somebody let it go live before those days were over, for the reason that stands in `why`.
    """

    audited = True
    volatile = ("changed_at", "changed_by", "why", "burst_until", "shadow_since", "is_early")

    class Mode(models.TextChoices):
        SHADOW = "shadow", _("shadow: shown, not sent")
        LIVE = "live", _("live")
        STOPPED = "stopped", _("stopped")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="push_flows")
    verb = models.CharField(_("what is told"), max_length=40)
    mode = models.CharField(_("mode"), max_length=10, choices=Mode, default=Mode.SHADOW)
    most_at_once = models.PositiveIntegerField(_("most commands in one go"), default=200)
    burst_until = models.DateTimeField(_("more are allowed until"), null=True, blank=True)
    shadow_since = models.DateTimeField(_("in shadow since"), null=True, blank=True)
    was_live = models.BooleanField(_("has been live"), default=False)
    is_early = models.BooleanField(_("live before its days in shadow"), default=False)
    why = models.CharField(_("why"), max_length=300, blank=True)
    changed_by = models.CharField(_("changed by"), max_length=254, blank=True)
    changed_at = models.DateTimeField(_("changed at"))

    class Meta(ClientModel.Meta):
        verbose_name = _("push flow")
        verbose_name_plural = _("push flows")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "verb"], name="pushflow_client_account_verb_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.verb}"


class PushSwitch(ClientModel):
    """The client's one switch before all push flows; while it is off nothing leaves, whatever the flows say."""

    audited = True
    volatile = True

    is_stopped = models.BooleanField(_("all pushes stopped"), default=False)
    why = models.CharField(_("why"), max_length=300, blank=True)
    changed_by = models.CharField(_("changed by"), max_length=254, blank=True)
    changed_at = models.DateTimeField(_("changed at"))

    class Meta(ClientModel.Meta):
        verbose_name = _("switch for all pushes")
        verbose_name_plural = _("switch for all pushes")
        constraints = [models.UniqueConstraint(fields=["client"], name="pushswitch_client_uniq")]

    def __str__(self) -> str:
        return str(_("stopped") if self.is_stopped else _("on"))


class OutboxCommand(ClientModel):
    """One thing a marketplace has to be told: written with the fact it tells of, sent afterwards, settled once.

    Attributes:
        key: what it is about; while a command waits, a newer one of the same key takes its place.
        order_key: commands of one order key leave one after the other, each after the one before is settled.
        fence: moves with every claim; whoever holds an older one may write nothing.
        attempts: times it was sent. absences: times in a row it was looked for there and not found.
        failures: calls in a row that told nothing; they make the pauses longer.
    """

    volatile = True

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        HELD = "held", _("held, not sent")
        IN_FLIGHT = "in_flight", _("being sent")
        UNKNOWN = "unknown", _("unknown, being looked up")
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        GIVEN_UP = "given_up", _("given up")

    kept_for = Kept(days=400, since="settled_at", why="as long as the audit: what we told, and what was answered")

    OPEN: ClassVar[tuple[str, ...]] = (State.WAITING, State.IN_FLIGHT, State.UNKNOWN)

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="outbox")
    verb = models.CharField(_("what is told"), max_length=40)
    key = models.CharField(_("key"), max_length=120)
    order_key = models.CharField(_("in order with"), max_length=120)
    subject = models.CharField(_("about"), max_length=200)
    payload = EncryptedJSONField(_("command"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    message = models.CharField(_("what was said"), max_length=500, blank=True)
    provider_ref = models.CharField(_("their number"), max_length=120, blank=True)
    fence = models.PositiveBigIntegerField(_("fence"), default=0)
    attempts = models.PositiveIntegerField(_("times sent"), default=0)
    absences = models.PositiveIntegerField(_("times not found"), default=0)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    created_at = models.DateTimeField(_("put"))
    created_by = models.CharField(_("put by"), max_length=254, blank=True)
    next_at = models.DateTimeField(_("next step at"))
    deadline_at = models.DateTimeField(_("tried until"))
    sent_at = models.DateTimeField(_("last sent"), null=True, blank=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("command")
        verbose_name_plural = _("commands")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "verb", "key"],
                name="outbox_client_key_waiting_uniq",
                condition=models.Q(state__in=["waiting", "held"]),
            ),
            models.UniqueConstraint(
                fields=["client", "account", "verb"],
                name="outbox_client_account_in_flight_uniq",
                condition=models.Q(state="in_flight"),
            ),
        ]
        indexes = [
            models.Index(
                fields=["client", "account", "verb", "id"],
                name="outbox_client_open_idx",
                condition=models.Q(state__in=["waiting", "in_flight", "unknown"]),
            ),
            models.Index(fields=["client", "account", "verb", "key", "-id"], name="outbox_client_key_idx"),
            models.Index(fields=["client", "state", "-id"], name="outbox_client_state_idx"),
        ]

    def __str__(self) -> str:
        return self.subject


class OutboxAttempt(ClientModel):
    """One call made for a command, written before the call: sending it, or looking whether it arrived."""

    volatile = True

    class Kind(models.TextChoices):
        SEND = "send", _("sent")
        LOOK = "look", _("looked up")

    kept_for = Kept(days=400, since="command__settled_at", why="goes with its command")

    command = ClientForeignKey(OutboxCommand, on_delete=models.CASCADE, related_name="log")
    fence = models.PositiveBigIntegerField(_("fence"))
    kind = models.CharField(_("what was done"), max_length=4, choices=Kind)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=20, blank=True)
    message = models.CharField(_("what was said"), max_length=500, blank=True)
    request_id = models.CharField(_("their request id"), max_length=100, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(fields=["client", "command", "fence"], name="outboxattempt_client_fence_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {localtime(self.started_at):%Y-%m-%d %H:%M:%S}"
