"""Where something that comes from outside belongs, before any client is known."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.models.people import Client


class Route(models.Model):
    """From something the world sends (webhook path, queue, upload folder) to its client and account. No secrets."""

    audited: ClassVar[bool] = True

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", _("webhook")
        SQS = "sqs", _("queue")
        UPLOAD = "upload", _("upload folder")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    key = models.CharField(_("key"), max_length=200)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client"))
    # No foreign key: the account lies behind the client's wall, this row before it.
    account = models.BigIntegerField(_("account"))

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="core_route_kind_key_uniq")]

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"
