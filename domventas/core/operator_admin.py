"""Clients and people, for the platform operator: what a password is set with never shows one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import password_validation
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget

from domventas.core.admin import ClientForm, HouseAdmin
from domventas.core.models import Client, User
from domventas.core.signin.sure import SureAdmin
from domventas.core.times import NotAMoment, zone


class HouseForm(ClientForm):
    """A client; its zone is one that pages can be shown in."""

    class Meta:
        model = Client
        fields = ("slug", "name", "base_currency", "zone", "active", "requires_second_factor")

    def clean_zone(self) -> str:
        """By its IANA name."""
        name: str = self.cleaned_data["zone"]
        try:
            zone(name)
        except NotAMoment as error:
            raise forms.ValidationError(error.message) from error
        return name


class PersonForm(ClientForm):
    """A person; a password is only ever set here, and kept as its hash."""

    new_password = forms.CharField(
        label=_("new password"), required=False, strip=False, max_length=256,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty: as it is. A new person without one cannot sign in. It ends the person's other sign-ins."),
    )  # fmt: skip

    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_operator")

    def clean_email(self) -> str:
        """As people are told apart."""
        given: str = self.cleaned_data["email"]
        return given.strip().lower()

    def clean(self) -> dict[str, Any]:
        """By the house's rules for passwords. Raises: ValidationError, at the field."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if given := found.get("new_password"):
            about = User(email=found.get("email") or "", name=found.get("name") or "")
            try:
                password_validation.validate_password(given, about)
            except forms.ValidationError as error:
                self.add_error("new_password", error)
        return found


@admin.register(Client)
class HousesAdmin(SureAdmin, HouseAdmin):
    """Clients: made and closed here, never deleted."""

    form = HouseForm
    list_display = ("name", "slug", "zone", "active", "requires_second_factor")
    search_fields = ("name", "slug")

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        """A client that left is closed: *active* off."""
        return False


@admin.register(User)
class PersonsAdmin(SureAdmin, HouseAdmin):
    """People: who they are and whether they may sign in; what they may do is the clients' to say."""

    form = PersonForm
    fields = ("email", "name", "new_password", "is_active", "is_operator", "last_login")
    readonly_fields = ("last_login",)
    list_display = ("email", "name", "is_active", "is_operator", "last_login")
    list_filter = ("is_active", "is_operator")
    search_fields = ("email", "name")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Somebody who left is closed: *active* off; what he did stays his."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """With the hash of the new password, if one was given; a new person without one stays outside."""
        given = form.cleaned_data.get("new_password")
        if given or not change:
            obj.set_password(given or None)
        super().save_model(request, obj, form, change)
