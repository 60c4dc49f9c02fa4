"""Statement files that people bring: who brought which, when, and what became of it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey
from domventas.core.models import ClientModel, Kept
from finance.models.settlements import Settlement
from marketplaces.models import Account


class StatementFile(ClientModel):
    """One bringing of one file. Its bytes are the raw document; the same file brought again is a row of its own.

    `reason` says in words why it was refused, and is empty otherwise. `tries` counts how often reading it was begun.
    """

    volatile = True
    free_text = ()
    kept_for = Kept(days=4018, since="ended_at", why="who brought a record behind the books: as long as the record")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting to be read")
        BOOKED = "booked", _("booked")
        KNOWN = "known", _("already booked")
        REFUSED = "refused", _("refused")

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(_("file"), max_length=200)
    size = models.BigIntegerField(_("bytes"))
    raw_id = models.BigIntegerField(_("raw document"))
    brought_by = models.CharField(_("brought by"), max_length=254)
    brought_at = models.DateTimeField(_("brought at"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    reason = models.TextField(_("reason"), blank=True)
    settlement = ClientForeignKey(Settlement, on_delete=models.SET_NULL, related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        ordering = ["-brought_at", "-pk"]
        verbose_name = _("statement file")
        verbose_name_plural = _("statement files")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "raw_id"],
                name="statementfile_waiting_uniq",
                condition=models.Q(state="waiting"),
            )
        ]
        indexes = [models.Index(fields=["client", "-brought_at"], name="statementfile_brought_idx")]

    def __str__(self) -> str:
        return self.name
