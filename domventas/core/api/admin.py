"""Tokens in the admin: made and shown once, revoked, never changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core import tenancy
from domventas.core.admin import HouseAdmin
from domventas.core.api import tokens
from domventas.core.api.forms import TokenForm
from domventas.core.models import ApiToken, Client
from domventas.core.signin.sure import SureAdmin


@admin.register(ApiToken)
class ApiTokenAdmin(SureAdmin, HouseAdmin):
    """Tokens of this client's machines."""

    form = TokenForm  # type: ignore[assignment]  # unique keys are the service's
    list_display = ("name", "prefix", "scopes", "created_by", "created_at", "expires_at", "revoked_at", "last_used_at")
    readonly_fields = ("prefix", "created_by", "created_at", "revoked_at", "last_used_at")
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """The table has no wall, as a token is looked up before its client is known: here it is narrowed by hand."""
        return super().get_queryset(request).filter(client=tenancy.current().one)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """A new one is described; one that exists is only read."""
        return ("name", "scopes", "expires_at") if obj is None else self.list_display

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """What a token may is fixed when it is made."""
        return () if obj is None else self.list_display

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """A token is revoked and made anew, never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Who asked once stays known."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may make tokens may end them."""
        return self.has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Through the service; the text is kept for this one answer."""
        client, given = Client.objects.get(pk=tenancy.current().one), form.cleaned_data
        made, text = tokens.issue(
            client, name=given["name"], scopes=given["scopes"], by=request.user.get_username(), now=clock(),
            expires_at=given["expires_at"],
        )  # fmt: skip
        obj.pk, obj.client, obj._state.adding = made.pk, client, False
        request.token_text = text  # type: ignore[attr-defined]  # for response_add, in the same request

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token, here and never again: neither in a message nor in a session."""
        shown = {**self.admin_site.each_context(request), "title": _("The new token"), "name": obj.name}
        response = render(request, "core/token.html", shown | {"token": request.token_text})  # type: ignore[attr-defined]
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=_("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End them at once."""
        count = tokens.revoke(queryset, now=clock())
        messages.success(request, _("%(count)d tokens revoked.") % {"count": count})
