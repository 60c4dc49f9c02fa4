"""Every byte the outside said, what could not be read, and what nobody had described."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, EncryptedBytesField
from domventas.core.models import ClientModel, Kept
from marketplaces.models.accounts import Account


class RawDocument(ClientModel):
    """One answer of a marketplace as it came. Partitioned by month of `fetched_on`; nothing has a foreign key to it.

    `body` is zlib-compressed; where the flow carries personal data it is encrypted with the client's key ring as well.
    The same answer in the same context is kept once: `fetched_at` is its first time, `last_fetched_at` its newest.
    """

    volatile = True
    partition_by = "fetched_on"
    kept_for = Kept(days=4018, since="fetched_on", why="records behind the books: ten years from the end of their year")

    account_id = models.BigIntegerField(_("account"))
    flow = models.CharField(_("flow"), max_length=40)
    sha256 = models.CharField(_("sha-256"), max_length=64)
    key = models.CharField(_("sha-256 of bytes and identity"), max_length=64)
    name = models.CharField(_("name"), max_length=200, blank=True)
    content_type = models.CharField(_("content type"), max_length=120)
    context = models.JSONField(_("context"), default=dict)
    size = models.BigIntegerField(_("bytes"))
    is_encrypted = models.BooleanField(_("encrypted"), default=False)
    body = EncryptedBytesField(_("body"))
    fetched_at = models.DateTimeField(_("fetched at"))
    fetched_on = models.DateField(_("fetched on"))
    last_fetched_at = models.DateTimeField(_("last fetched at"))
    purge_at = models.DateTimeField(_("purge at"), null=True, blank=True)
    redacted_at = models.DateTimeField(_("redacted at"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("raw document")
        verbose_name_plural = _("raw documents")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account_id", "key", "fetched_on"], name="rawdocument_account_key_day_uniq"
            )
        ]
        indexes = [
            models.Index(
                fields=["client", "account_id", "flow", "last_fetched_at"], name="rawdocument_account_flow_idx"
            ),
            models.Index(
                fields=["client", "purge_at"],
                name="rawdocument_client_purge_idx",
                condition=models.Q(redacted_at=None, purge_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.flow} {localtime(self.fetched_at):%Y-%m-%d %H:%M}"


class Quarantined(ClientModel):
    """One record that could not be read or loaded: its place, the reason in words, and its bytes."""

    volatile = True

    kept_for = Kept(days=180, since="resolved_at", why="mended long ago; what is not waits for people")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    flow = models.CharField(_("flow"), max_length=40)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)
    path = models.CharField(_("place"), max_length=300)
    external_id = models.CharField(_("their id"), max_length=200, blank=True)
    reason = models.TextField(_("reason"))
    excerpt = EncryptedBytesField(_("bytes, encrypted"))
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    seen_count = models.PositiveIntegerField(_("times seen"), default=1)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)

    class Meta(ClientModel.Meta):
        verbose_name = _("quarantined record")
        verbose_name_plural = _("quarantined records")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "flow", "fingerprint"], name="quarantined_fingerprint_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.flow} {self.path}"


class SchemaDrift(ClientModel):
    """A field, value or type the provider's description does not name: stored, counted, shown; the sync goes on."""

    volatile = True
    kept_for = Kept(days=400, since="last_seen_at", why="not seen for a year, so it is no news any more")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    flow = models.CharField(_("flow"), max_length=40)
    path = models.CharField(_("place"), max_length=300)
    value = models.CharField(_("value seen"), max_length=300)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    seen_count = models.PositiveIntegerField(_("times seen"), default=1)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("schema drift")
        verbose_name_plural = _("schema drift")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "flow", "path", "value"], name="schemadrift_place_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.path} = {self.value}"
