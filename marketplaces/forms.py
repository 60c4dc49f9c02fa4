"""The form of an account: its sites and its secrets, which go in and are never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.html import escape
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordInput,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
)

from domventas.core.admin import ClientForm
from marketplaces.models import Account, AccountSite, Credential, Site
from marketplaces.registry import connectors, marketplace_choices

#: The form's field for the day on which the secrets run out.
EXPIRY: Final = "expires_on"


class AccountForm(ClientForm):
    """What a person enters. An existing account keeps its secrets unless all of them are entered anew."""

    channel = forms.ChoiceField(label=_("Marketplace"), choices=marketplace_choices, widget=UnfoldAdminSelectWidget)
    sites = forms.ModelMultipleChoiceField(
        label=_("Sites"), queryset=Site.objects.order_by("code"), widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = Account
        fields = ("name", "code", "channel", "external_id", "environment", "cutover_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            return
        self.fields.pop("channel", None)
        enabled = AccountSite.objects.filter(account=self.instance, is_enabled=True)
        self.initial["sites"] = list(enabled.values_list("site_id", flat=True))
        sites: Any = self.fields["sites"]
        sites.queryset = sites.queryset.filter(channel=self.instance.channel)
        kept = Credential.objects.filter(account=self.instance).first()
        if kept and EXPIRY in self.fields:
            self.initial[EXPIRY] = kept.expires_on
        for name, field in self.fields.items():
            if kept and name.startswith("secret_"):
                told = _("Kept; the last one ends in …{end}. Enter all of them to replace them.")
                field.help_text = format_lazy(told, end=escape(kept.fingerprint))

    def clean(self) -> dict[str, Any]:
        """Secrets are complete or not given at all; sites belong to the marketplace."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        channel = self.instance.channel if self.instance.pk else found.get("channel", "")
        wanted = connectors[channel].credential_fields if channel in connectors else ()
        given = self.secrets(channel, found)
        if given or not self.instance.pk:
            for field in wanted:
                if field.name not in given and key_of(channel, field.name) in self.fields:
                    self.add_error(key_of(channel, field.name), _("This is needed to sign in."))
        if given and EXPIRY not in self.changed_data:
            found[EXPIRY] = None  # the day was of the secrets these take the place of
        for site in found.get("sites") or ():
            if site.channel != channel:
                self.add_error("sites", _("%(site)s belongs to another marketplace.") % {"site": site.code})
        return found

    def secrets(self, channel: str, found: Mapping[str, Any]) -> dict[str, str]:
        """The secrets that were entered for a marketplace, by the names it asks for."""
        wanted = connectors[channel].credential_fields if channel in connectors else ()
        given = {field.name: str(found.get(key_of(channel, field.name)) or "").strip() for field in wanted}
        return {name: value for name, value in given.items() if value}


def secret_fields(channel: str = "") -> dict[str, forms.Field]:
    """Write-only fields for the secrets of one marketplace, or of all, by form field name, and their last day."""
    last_day = forms.DateField(
        label=_("They run out on"), required=False, widget=UnfoldAdminSingleDateWidget,
        help_text=_("Two weeks before, a ticket says so. Empty = as the marketplace lets them last, where it says it."),
    )  # fmt: skip
    return {
        key_of(name, field.name): forms.CharField(
            label=f"{connector.label}: {field.label}",
            help_text=field.help,
            required=False,
            widget=UnfoldAdminPasswordInput(attrs={"autocomplete": "off"}),
        )
        for name, connector in connectors.items()
        if channel in ("", name)
        for field in connector.credential_fields
    } | {EXPIRY: last_day}


def key_of(channel: str, name: str) -> str:
    """A form field's name for one secret of one marketplace."""
    return f"secret_{channel}_{name}"
