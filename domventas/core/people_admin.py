"""Who works for this client, for its administrators.

The table has no wall, because it is read before a client is known: here it is narrowed by hand, and the client of a row
is never a field of the form.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminEmailInputWidget

from domventas.core import people, tenancy
from domventas.core.admin import HouseAdmin
from domventas.core.errors import DomventasError
from domventas.core.models import Membership
from domventas.core.signin.sure import SureAdmin


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]  # of one model
    """A person by address, a role, perhaps only some brands."""

    email = forms.EmailField(label=_("e-mail"), widget=UnfoldAdminEmailInputWidget)

    class Meta:
        model = Membership
        fields = ("role", "brands")

    def clean_email(self) -> str:
        """Somebody who can sign in."""
        try:
            self.person = people.find(self.cleaned_data["email"])
        except DomventasError as error:
            raise forms.ValidationError(error.message) from error
        return self.person.email

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"user", "client"}  # type: ignore[misc]  # the service's


@admin.register(Membership)
class MembershipAdmin(SureAdmin, HouseAdmin):
    """The people of this client."""

    form = MembershipForm  # type: ignore[assignment]  # unique keys are the service's
    list_display = ("user", "role", "brands")
    list_filter = ("role",)
    search_fields = ("user__email", "user__name")
    list_select_related = ("user",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Of the client in the address, nobody else's."""
        return super().get_queryset(request).filter(client=tenancy.current().one)

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        """Whom is fixed once it is made."""
        return ("email", "role", "brands") if obj is None else ("user", "role", "brands")

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        """See above."""
        return () if obj is None else ("user",)

    def get_form(self, request: HttpRequest, obj: Membership | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Without the address where the person is known."""
        if obj is not None:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change=change, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """Others' rights only."""
        return super().has_change_permission(request, obj) and (obj is None or obj.user_id != request.user.pk)

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """Others' rights only."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.user_id != request.user.pk)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        """Through the service, which refuses what is not this client's."""
        given: dict[str, Any] = {"role": form.cleaned_data["role"], "brands": form.cleaned_data["brands"]}
        by: Any = request.user
        try:
            if change:
                people.change(obj, **given, by=by)
                return
            made = people.grant(form.person, **given, by=by)
            obj.pk, obj.user, obj.client, obj._state.adding = made.pk, made.user, made.client, False
        except DomventasError as error:
            messages.error(request, error.message)
            request.refused = True  # type: ignore[attr-defined]  # for response_add, in the same request

    def response_add(self, request: HttpRequest, obj: Membership, post_url_continue: str | None = None) -> Any:
        """Without a word of success where the service refused."""
        if getattr(request, "refused", False):
            return self.response_post_save_add(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Through the service."""
        people.withdraw(obj, by=request.user)  # type: ignore[arg-type]  # signed in
