"""Admin pages that open only to somebody who has shown the password within the last ten minutes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import get_script_prefix, reverse
from django.utils.http import urlencode

from domventas.core.signin import session


class SureAdmin:
    """For admins of secrets and rights: adding and changing asks for the password first."""

    def needs_to_be_sure(self, request: HttpRequest) -> bool:
        """Whether this person could change something delicate here."""
        return True

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """To the page that asks for the password, unless that was just shown."""
        if self.needs_to_be_sure(request) and not session.is_sure(request):
            return HttpResponseRedirect(ask_again(request))
        return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]  # of the admin it is mixed into


def ask_again(request: HttpRequest) -> str:
    """The address of the page that asks, with the way back."""
    page = reverse("signin:again")
    prefix = get_script_prefix()
    return f"/{page.removeprefix(prefix)}?{urlencode({'next': request.get_full_path()})}"
