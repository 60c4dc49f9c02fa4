"""What the detectors saw, run by run."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel, Kept
from marketplaces.models import Account


class DetectorRun(ClientModel):
    """One run of one detector: how much it saw and what it left out because its inputs were stale."""

    volatile = True
    kept_for = Kept(
        days=90, since="started_at", but_newest_per=("type",), why="how judging went; findings and tickets stay"
    )

    type = models.CharField(_("type"), max_length=40)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    found = models.PositiveIntegerField(_("found"), default=0)
    opened = models.PositiveIntegerField(_("opened"), default=0)
    updated = models.PositiveIntegerField(_("updated"), default=0)
    resolved = models.PositiveIntegerField(_("resolved"), default=0)
    suppressed = models.PositiveIntegerField(_("suppressed"), default=0)
    stale = models.JSONField(_("accounts left out as stale"), default=list)

    class Meta(ClientModel.Meta):
        verbose_name = _("detector run")
        verbose_name_plural = _("detector runs")
        indexes = [models.Index(fields=["client", "type", "-started_at"], name="detectorrun_type_started_idx")]

    def __str__(self) -> str:
        return f"{self.type} {localtime(self.started_at):%Y-%m-%d %H:%M}"


class StartingPosition(ClientModel):
    """What a detector's first run on an account found: counted and listed, no tickets, until the owner decides."""

    type = models.CharField(_("type"), max_length=40)
    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    taken_at = models.DateTimeField(_("taken at"))
    count = models.PositiveIntegerField(_("findings"))
    amounts = models.JSONField(_("money by currency"), default=dict)
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    accepted_by = models.CharField(_("accepted by"), max_length=254, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("starting position")
        verbose_name_plural = _("starting positions")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "type", "account"], name="startingposition_client_type_account_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.count}"


class Finding(ClientModel):
    """One thing a detector says is not healthy, by fingerprint; it lives on while it is seen."""

    volatile = ("first_seen_at", "last_seen_at", "streak", "healthy_streak")
    dump_refs = {"brand_id": "catalog.Brand"}

    class State(models.TextChoices):
        WATCHED = "watched", _("watched")
        STARTING = "starting", _("starting position")
        OPEN = "open", _("in a ticket")
        SUPPRESSED = "suppressed", _("suppressed by its cause")
        GONE = "gone", _("gone")

    type = models.CharField(_("type"), max_length=40)
    check_code = models.CharField(_("check"), max_length=40)
    fingerprint = models.CharField(_("fingerprint"), max_length=200)
    group_key = models.CharField(_("group"), max_length=200)
    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="findings", null=True, blank=True)
    brand_id = models.BigIntegerField(_("brand"), null=True, blank=True)
    level = models.CharField(_("level"), max_length=5, choices=[("open", _("open")), ("hold", _("hold"))])
    title = models.CharField(_("title"), max_length=300)
    cause = models.CharField(_("cause"), max_length=300, blank=True)
    action = models.CharField(_("suggested action"), max_length=300, blank=True)
    refs = models.JSONField(_("belongs to"), default=dict)
    facts = models.JSONField(_("figures"), default=dict)
    amount = AmountField(_("money at stake, one-off"), null=True)
    currency = CurrencyField(_("currency"), blank=True)
    impact_day = AmountField(_("contribution per day [base currency]"), null=True)
    severity_floor = models.CharField(_("at least"), max_length=2, blank=True)
    deadline_at = models.DateTimeField(_("deadline"), null=True, blank=True)
    happened_at = models.DateTimeField(_("happened at"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WATCHED)
    streak = models.PositiveIntegerField(_("runs seen in a row"), default=1)
    healthy_streak = models.PositiveIntegerField(_("runs not seen in a row"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    ticket = ClientForeignKey(
        "tickets.Ticket", on_delete=models.SET_NULL, related_name="findings", null=True, blank=True
    )

    class Meta(ClientModel.Meta):
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(fields=["client", "type", "fingerprint"], name="finding_client_fingerprint_uniq")
        ]
        indexes = [models.Index(fields=["client", "type", "state"], name="finding_type_state_idx")]

    def __str__(self) -> str:
        return self.title
