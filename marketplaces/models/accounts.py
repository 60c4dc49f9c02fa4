"""Marketplace accounts: which seller or shop we act as, on which sites, with which secrets."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, CurrencyField, EncryptedJSONField
from domventas.core.models import ClientModel


class Site(models.Model):
    """One marketplace site, for example amazon.de. Shipped by the connector, the same for all clients, no secrets."""

    code = models.CharField(_("code"), max_length=60, unique=True)
    channel = models.CharField(_("channel"), max_length=40)
    label = models.CharField(_("label"), max_length=80)
    country = models.CharField(_("country"), max_length=2)
    currency = CurrencyField(_("currency"))
    zone = models.CharField(_("time zone"), max_length=60)
    external_id = models.CharField(_("marketplace id"), max_length=80)
    region = models.CharField(_("region"), max_length=10, blank=True)

    class Meta:
        ordering = ["code"]
        verbose_name = _("site")
        verbose_name_plural = _("sites")

    def __str__(self) -> str:
        return self.label


class Account(ClientModel):
    """One seller account or shop of a client at a marketplace."""

    class Environment(models.TextChoices):
        SANDBOX = "sandbox", _("sandbox")
        LIVE = "live", _("live")

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        BROKEN = "broken", _("sign-in refused")
        NEW = "new", _("not finished")

    audited = True

    code = models.SlugField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=100)
    channel = models.CharField(_("channel"), max_length=40)
    external_id = models.CharField(_("seller or shop id"), max_length=100)
    environment = models.CharField(_("environment"), max_length=10, choices=Environment, default=Environment.SANDBOX)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    status_note = models.CharField(_("why"), max_length=300, blank=True)
    cutover_on = models.DateField(_("first day read"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta(ClientModel.Meta):
        ordering = ["code"]
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(fields=["client", "code"], name="account_client_code_uniq"),
            models.UniqueConstraint(
                fields=["client", "channel", "external_id", "environment"], name="account_client_external_uniq"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def channel_sites(self) -> Mapping[str, Site]:
        """All sites of the channel by their code; asked once for this object, as they change with releases only."""
        return {site.code: site for site in Site.objects.filter(channel=self.channel)}


class AccountSite(ClientModel):
    """A site this account sells on."""

    audited = True

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="account_sites")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("site of the account")
        verbose_name_plural = _("sites of the account")
        constraints = [
            models.UniqueConstraint(fields=["client", "account", "site"], name="accountsite_client_account_site_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.site}"


class Credential(ClientModel):
    """The secrets of an account, encrypted; written by people, never shown again.

    `expires_on`: the day they run out, where somebody has said it.
    """

    audited = True
    volatile = ("tokens",)

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="credentials")
    secrets = EncryptedJSONField(_("secrets"))
    tokens = EncryptedJSONField(_("access tokens"), default=dict)
    fingerprint = models.CharField(_("ends in"), max_length=12, blank=True)
    set_by = models.CharField(_("set by"), max_length=254, blank=True)
    set_at = models.DateTimeField(_("set at"))
    expires_on = models.DateField(_("run out on"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [models.UniqueConstraint(fields=["client", "account"], name="credential_client_account_uniq")]

    def __str__(self) -> str:
        return f"{self.account} …{self.fingerprint}"
