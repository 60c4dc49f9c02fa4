"""The tickets people work from: one per thing to decide, with money, cause, clock and owner."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel
from marketplaces.models import Account


class TicketGroup(ClientModel):
    """Tickets with one key (type, marketplace, brand): what exceeds the cap is counted here, not hidden."""

    type = models.CharField(_("type"), max_length=40)
    key = models.CharField(_("key"), max_length=200)
    title = models.CharField(_("title"), max_length=300)
    overflow_count = models.PositiveIntegerField(_("counted, without a ticket of its own"), default=0)
    overflow_impact_day = AmountField(_("their contribution per day"), default=0)

    class Meta(ClientModel.Meta):
        verbose_name = _("ticket group")
        verbose_name_plural = _("ticket groups")
        constraints = [
            models.UniqueConstraint(fields=["client", "type", "key"], name="ticketgroup_client_type_key_uniq")
        ]

    def __str__(self) -> str:
        return self.title


class Ticket(ClientModel):
    """One thing to decide. It holds one finding or many alike, and closes itself when they are gone."""

    dump_refs = {"brand_id": "catalog.Brand"}

    class Severity(models.TextChoices):
        S1 = "S1", _("S1")
        S2 = "S2", _("S2")
        S3 = "S3", _("S3")
        S4 = "S4", _("S4")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        WORKING = "working", _("being worked on")
        SNOOZED = "snoozed", _("snoozed")
        RESOLVED = "resolved", _("resolved")

    class Resolution(models.TextChoices):
        GONE = "gone", _("condition gone")
        FIXED = "fixed", _("fixed")
        RECOVERED = "recovered", _("money recovered")
        ACCEPTED = "accepted", _("accepted until a date")
        WRONG = "wrong", _("wrong alarm")

    type = models.CharField(_("type"), max_length=40)
    number = models.PositiveIntegerField(_("number"))
    fingerprint = models.CharField(_("fingerprint"), max_length=200)
    group = ClientForeignKey(TicketGroup, on_delete=models.SET_NULL, related_name="tickets", null=True, blank=True)
    account = ClientForeignKey(Account, on_delete=models.SET_NULL, related_name="tickets", null=True, blank=True)
    brand_id = models.BigIntegerField(_("brand"), null=True, blank=True)
    title = models.CharField(_("title"), max_length=300)
    cause = models.CharField(_("cause"), max_length=300, blank=True)
    action = models.CharField(_("suggested action"), max_length=300, blank=True)
    severity = models.CharField(_("severity"), max_length=2, choices=Severity)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    resolution = models.CharField(_("resolution"), max_length=10, choices=Resolution, blank=True)
    finding_count = models.PositiveIntegerField(_("findings"), default=1)
    amounts = models.JSONField(_("money by currency"), default=dict)
    impact_day = AmountField(_("contribution per day [base currency]"), null=True)
    base_currency = CurrencyField(_("base currency"))
    deadline_at = models.DateTimeField(_("deadline"), null=True, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("owner"),
    )
    opened_at = models.DateTimeField(_("opened"))
    changed_at = models.DateTimeField(_("changed"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        ordering = ["severity", "-impact_day"]
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        constraints = [
            models.UniqueConstraint(fields=["client", "number"], name="ticket_client_number_uniq"),
            models.UniqueConstraint(
                fields=["client", "type", "fingerprint"],
                name="ticket_client_open_fingerprint_uniq",
                condition=~models.Q(state="resolved"),
            ),
        ]
        indexes = [
            models.Index(
                fields=["client", "severity", "-impact_day"],
                name="ticket_client_open_idx",
                condition=~models.Q(state="resolved"),
            )
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"


class TicketEvent(ClientModel):
    """One step in a ticket's life: who, what, why."""

    ticket = ClientForeignKey(Ticket, on_delete=models.CASCADE, related_name="events")
    what = models.CharField(_("what"), max_length=40)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    actor = models.CharField(_("who"), max_length=254, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta(ClientModel.Meta):
        ordering = ["-at"]
        verbose_name = _("ticket event")
        verbose_name_plural = _("ticket events")
        indexes = [models.Index(fields=["client", "ticket", "-at"], name="ticketevent_client_ticket_idx")]

    def __str__(self) -> str:
        return self.what
