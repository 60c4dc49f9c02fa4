"""Machines that may ask our API, and what they have asked for already."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.models.base import ClientModel
from domventas.core.models.kept import Kept
from domventas.core.models.people import Client


class ApiToken(models.Model):
    """A machine's right to ask for one client. Found by its prefix before the client is known; only a hash is kept."""

    audited: ClassVar[bool] = True

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client"))
    name = models.CharField(_("name"), max_length=80, help_text=_("who uses it, and for what"))
    prefix = models.CharField(_("begins with"), max_length=12, unique=True, editable=False)
    secret_hash = models.CharField(_("hash"), max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), verbose_name=_("may"), default=list)
    created_by = models.CharField(_("made by"), max_length=254, editable=False)
    created_at = models.DateTimeField(_("made at"), editable=False)
    expires_at = models.DateTimeField(_("valid until"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} (dv_{self.prefix}…)"


class ApiReply(ClientModel):
    """What we answered to a request with an idempotency key: asked again, it is answered so again, and done once."""

    volatile = True
    kept_for = Kept(days=2, since="created_at", why="asked again within two days, it is answered the same")

    token_prefix = models.CharField(_("token"), max_length=12)
    key = models.CharField(_("idempotency key"), max_length=255)
    fingerprint = models.CharField(_("hash of the request"), max_length=64)
    status = models.PositiveSmallIntegerField(_("status"), default=0)
    body = models.TextField(_("body"), blank=True)
    created_at = models.DateTimeField(_("answered at"))

    class Meta(ClientModel.Meta):
        verbose_name = _("API reply")
        verbose_name_plural = _("API replies")
        constraints = [
            models.UniqueConstraint(fields=["client", "token_prefix", "key"], name="core_apireply_token_key_uniq")
        ]
        indexes = [models.Index(fields=["client", "created_at"], name="core_apireply_created_idx")]

    def __str__(self) -> str:
        return self.key
