"""The ways in that are no polls: where marketplaces send events to, and every event they sent."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, EncryptedBytesField, EncryptedJSONField
from domventas.core.models import ClientModel, Kept
from marketplaces.models.accounts import Account


class Inlet(ClientModel):
    """An address at which an account's marketplace reaches us: a webhook or a queue. Its Route leads here.

    `secrets` holds what opens it: for a webhook the signing secrets with their time (`values`: value, from, until),
    for a queue of the client's own its keys. They go in and never come out.
    """

    audited = True

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", _("webhook")
        QUEUE = "sqs", _("queue")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="inlets")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    key = models.CharField(_("address"), max_length=200)
    queue_url = models.CharField(_("queue"), max_length=300, blank=True)
    secrets = EncryptedJSONField(_("secrets"), default=dict)
    fingerprint = models.CharField(_("newest secret ends in"), max_length=12, blank=True)
    set_by = models.CharField(_("set by"), max_length=254, blank=True)
    set_at = models.DateTimeField(_("set at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("inlet")
        verbose_name_plural = _("inlets")
        constraints = [models.UniqueConstraint(fields=["client", "kind", "key"], name="inlet_client_kind_key_uniq")]

    def __str__(self) -> str:
        return f"{self.account} · {self.get_kind_display()}"


class Subscription(ClientModel):
    """One thing an account has asked its marketplace to tell it, as it stood there when we last looked.

    `target` is the marketplace's own name of our address. `asked_at` is when a person wanted it: until it has been
    worked on, a subscription that delivers to another address may be taken away and made again for ours.
    """

    volatile = True
    free_text = ()

    class State(models.TextChoices):
        ASKED = "asked", _("asked for")
        SUBSCRIBED = "subscribed", _("subscribed")
        ELSEWHERE = "elsewhere", _("delivers to another address")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("not known, tried again")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="subscriptions")
    topic = models.CharField(_("topic"), max_length=80)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.ASKED)
    ref = models.CharField(_("their id"), max_length=200, blank=True)
    target = models.CharField(_("delivers to"), max_length=300, blank=True)
    since = models.DateTimeField(_("since"), null=True, blank=True)
    asked_at = models.DateTimeField(_("asked for at"), null=True, blank=True)
    checked_at = models.DateTimeField(_("looked at"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "topic"], name="subscription_account_topic_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.topic}"


class InletRefusal(ClientModel):
    """How many messages an address turned away in one hour because nothing proved them. Of the messages nothing stays.

    `why` is our own word for what was wrong with the last one.
    """

    volatile = True
    free_text = ()
    kept_for = Kept(days=90, since="hour", why="as long as the events beside which they are counted")

    inlet = ClientForeignKey(Inlet, on_delete=models.CASCADE, related_name="refusals")
    hour = models.DateTimeField(_("hour"))
    count = models.PositiveIntegerField(_("turned away"))
    last_at = models.DateTimeField(_("the last one"))
    why = models.CharField(_("why"), max_length=200)

    class Meta(ClientModel.Meta):
        verbose_name = _("messages turned away")
        verbose_name_plural = _("messages turned away")
        constraints = [
            models.UniqueConstraint(fields=["client", "inlet", "hour"], name="inletrefusal_client_inlet_hour_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.count}"


class InboundEvent(ClientModel):
    """One event as it came: a hint to fetch something. Known by its sender's id, so a repetition is nothing new.

    `body` is encrypted with the client's key ring and goes at `purge_at`. The row decides what is left to do:
    `not_before` is also the lease of whoever works on it, so that an event whose worker died comes up again.
    """

    volatile = True

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        IGNORED = "ignored", _("of no use to us")

    kept_for = Kept(
        days=90, since="ended_at", only=~models.Q(state=State.WAITING),
        why="longer than any sender repeats an event, so a repetition is still known",
    )  # fmt: skip

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(_("came by"), max_length=10, choices=Inlet.Kind)
    event_id = models.CharField(_("their id"), max_length=200)
    kind = models.CharField(_("kind"), max_length=80)
    effect = models.CharField(_("asks for"), max_length=10, blank=True)
    flow = models.CharField(_("flow"), max_length=40, blank=True)
    ref = models.CharField(_("of what"), max_length=200, blank=True)
    body = EncryptedBytesField(_("bytes, encrypted"), null=True, blank=True)
    received_at = models.DateTimeField(_("received"))
    occurred_at = models.DateTimeField(_("happened"), null=True, blank=True)
    purge_at = models.DateTimeField(_("purge at"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(_("not before"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("inbound event")
        verbose_name_plural = _("inbound events")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "event_id"], name="inboundevent_account_event_uniq")
        ]
        indexes = [
            models.Index(
                fields=["client", "account", "not_before"],
                name="inboundevent_waiting_idx",
                condition=models.Q(state="waiting"),
            ),
            models.Index(
                fields=["client", "purge_at"], name="inboundevent_purge_idx", condition=models.Q(body__isnull=False)
            ),
            models.Index(fields=["client", "-received_at"], name="inboundevent_received_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}".strip()
