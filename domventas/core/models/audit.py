"""Who changed what: written by the database itself, so that no way of writing goes around it; sealed every minute."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import EncryptedTextField
from domventas.core.models.base import ClientModel
from domventas.core.models.kept import Kept


class AuditEntry(ClientModel):
    """One change of one row: before, after, by whom, in which request. Secrets appear as fingerprints only.

    The application may read it, never write it; rows come from the trigger `core_audit` alone. Values of a person who
    was erased are taken out by `core_redact_audit`, which leaves their hashes in `redaction` and writes an entry
    about it, so that the seals still hold (see core.audit).
    """

    app_may = "SELECT"
    volatile = True
    partition_by = "day"
    kept_for = Kept(days=400, since="day", why="marketplaces want twelve months of logs, and a month to look at them")

    day = models.DateField(_("day"))
    at = models.DateTimeField(_("at"), db_default=Now())
    table = models.CharField(_("table"), max_length=63)
    row = models.BigIntegerField(_("row"))
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)
    actor = models.CharField(_("by"), max_length=254)
    request = models.CharField(_("request"), max_length=64)
    salt = models.CharField(_("salt"), max_length=32, default="")
    redaction = models.JSONField(_("hashes of what was erased"), null=True)

    class Meta(ClientModel.Meta):
        ordering = ["-id"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["client", "table", "row"], name="core_auditentry_table_row_idx"),
            models.Index(fields=["client", "-at"], name="core_auditentry_at_idx"),
            models.Index(fields=["client", "request"], name="core_auditentry_request_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.table} #{self.row}"


class AuditSeal(ClientModel):
    """All audit entries of the client up to `last_id`, closed for good: nobody changes one without breaking it.

    The digest runs over the entries' marks and the seal before it, so the seals are a chain. `stamp` is the digest
    encrypted with the client's key: whoever may write the database but does not hold the key ring cannot forge it.
    `horizon_id` and `horizon_xact` tell the next seal how far it may go (see core.audit.seals).
    """

    app_may = "SELECT, INSERT"
    volatile = True

    number = models.BigIntegerField(_("number"))
    first_id = models.BigIntegerField(_("after entry"))
    last_id = models.BigIntegerField(_("up to entry"))
    count = models.PositiveIntegerField(_("entries"))
    marks = ArrayField(models.TextField(), verbose_name=_("marks of the entries"), default=list)
    digest = models.CharField(_("digest"), max_length=64)
    stamp = EncryptedTextField(_("stamp"))
    horizon_id = models.BigIntegerField(_("highest entry given out"))
    horizon_xact = models.BigIntegerField(_("transactions begun"))
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta(ClientModel.Meta):
        ordering = ["-number"]
        verbose_name = _("seal of the audit")
        verbose_name_plural = _("seals of the audit")
        constraints = [models.UniqueConstraint(fields=["client", "number"], name="auditseal_client_number_uniq")]

    def __str__(self) -> str:
        return f"{self.number}"


class AuditAnchor(ClientModel):
    """Where the kept chain begins: written before months of the audit are dropped, in place of the seals before it.

    `number` and `digest` are those of the last seal that went, `last_id` is the entry up to which it reached. `gone`
    names the entries of that time which later seals hold. `stamp` is the digest of all of it, encrypted with the
    client's key, so that nobody without the key ring can cut the chain short and call it retention.
    """

    app_may = "SELECT, INSERT"
    volatile = True

    number = models.BigIntegerField(_("number"))
    last_id = models.BigIntegerField(_("up to entry"))
    digest = models.CharField(_("digest"), max_length=64)
    kept_from = models.DateField(_("first day kept"))
    gone = ArrayField(models.BigIntegerField(), verbose_name=_("entries of later seals that went"), default=list)
    made_at = models.DateTimeField(_("made at"))
    stamp = EncryptedTextField(_("stamp"))

    class Meta(ClientModel.Meta):
        ordering = ["-kept_from"]
        verbose_name = _("anchor of the audit")
        verbose_name_plural = _("anchors of the audit")
        constraints = [models.UniqueConstraint(fields=["client", "kept_from"], name="auditanchor_client_from_uniq")]

    def __str__(self) -> str:
        return f"{self.kept_from:%Y-%m}"
