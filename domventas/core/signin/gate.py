"""Between signing in and working: sign-ins that have ended, and second factors that are still to be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import now as clock

from domventas.core.signin import factor, session

#: What opens without a second factor: the pages that ask for it, the way out, files.
OPEN: Final = ("/sign-in/", "/admin/login/", "/admin/logout/", "/static/", "/health", "/hooks/", "/in/", "/i18n/")

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class Gate:
    """Lets a signed-in person through while the sign-in lasts and the second factor, where wanted, was shown."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        """Through, to the login page, or to the page that asks for the code."""
        path = request.path_info
        if path.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        if session.is_over(request, now=clock()):
            logout(request)
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if path.startswith(OPEN) or session.has_second(request):
            return self.get_response(request)
        if factor.confirmed(request.user) is not None:
            return _to("signin:second", request)
        if factor.is_required(request.user):
            return _to("signin:enroll", request)
        return self.get_response(request)


def _to(name: str, request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse(name)}?{urlencode({'next': request.get_full_path()})}")
