"""What a person enters while connecting an account. Secrets are taken once and never drawn again."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from marketplaces.models import Account
from marketplaces.port import Connector
from marketplaces.services.onboarding import taken_by


class DetailsForm(forms.Form):
    """Step 2: which seller on which sites. Nothing of it is secret, so it travels in the address."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What you call it, for example “Amazon Germany”.")
    )
    external_id = forms.CharField(
        label=_("Seller or shop id"),
        max_length=100,
        help_text=_("As the marketplace shows it in its settings."),
    )
    environment = forms.ChoiceField(
        label=_("Where"), choices=Account.Environment.choices, initial=Account.Environment.SANDBOX,
        widget=forms.RadioSelect, help_text=_("In the sandbox nothing is real: good for learning and trying."),
    )  # fmt: skip
    sites = forms.MultipleChoiceField(label=_("Sites"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, connector: Connector, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel = connector.name
        choices = [(site.code, site.label) for site in connector.sites]
        self.fields["sites"].choices = choices  # type: ignore[attr-defined]  # a MultipleChoiceField
        if len(choices) == 1:
            self.initial.setdefault("sites", [choices[0][0]])

    def clean(self) -> dict[str, Any]:
        """A seller is connected once per environment."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if "external_id" in found and "environment" in found:
            there = taken_by(channel=self.channel, external_id=found["external_id"], environment=found["environment"])
            if there:
                self.add_error("external_id", _("“%(account)s” is this seller already.") % {"account": there})
        return found


class SecretsForm(forms.Form):
    """Step 3: what the marketplace asks for. Secret fields are always drawn empty."""

    def __init__(self, connector: Connector, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in connector.credential_fields:
            widget = (
                forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
                if field.secret
                else forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
            )
            self.fields[field.name] = forms.CharField(
                label=field.label, help_text=field.help, max_length=4000, widget=widget
            )

    @property
    def secrets(self) -> dict[str, str]:
        """What was entered, by the names the connector asks for."""
        return {name: str(value) for name, value in self.cleaned_data.items()}


class RangeForm(forms.Form):
    """Step 4: what is read, and from which day on."""

    flows = forms.MultipleChoiceField(
        label=_("What is read"), widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one; the others can be resumed later.")},
    )  # fmt: skip
    first_day = forms.DateField(
        label=_("From which day on"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("Empty = as far back as the marketplace answers. Nothing older is ever read or judged."),
    )  # fmt: skip

    def __init__(self, connector: Connector, *args: Any, today: date, labels: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        choices = [(flow, labels.get(flow, flow)) for flow in connector.flows]
        self.fields["flows"].choices = choices  # type: ignore[attr-defined]  # a MultipleChoiceField

    def clean_first_day(self) -> date | None:
        """Not in the future: nothing would be read."""
        day: date | None = self.cleaned_data["first_day"]
        if day is not None and day > self.today:
            raise forms.ValidationError(_("This day has not come yet."))
        return day
