"""The form a token is made with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from domventas.core.api.scopes import SCOPES
from domventas.core.models import ApiToken


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # of one model
    """Who uses the token, what it may, until when."""

    scopes = forms.MultipleChoiceField(
        label=_("may"), choices=list(SCOPES.items()), widget=forms.CheckboxSelectMultiple, required=True
    )
    expires_at = forms.SplitDateTimeField(
        label=_("valid until"), required=False, widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Empty: until somebody revokes it."),
    )  # fmt: skip

    class Meta:
        model = ApiToken
        fields = ("name", "scopes", "expires_at")
        widgets = {"name": UnfoldAdminTextInputWidget}

    def _post_clean(self) -> None:
        """The service makes the row; there is nothing to check it for here."""

    def clean_expires_at(self) -> Any:
        """The service says so, too; here the field is named."""
        given = self.cleaned_data["expires_at"]
        if given is not None and given <= clock():
            raise forms.ValidationError(_("It would have run out already."))
        return given
