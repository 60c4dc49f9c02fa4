"""The active client is the first part of the path, /c/<slug>/…

It becomes Django's script prefix, so reverse(), redirects, autocomplete, pop-ups and relative links keep it by
themselves. The session only remembers the last one; `?client=` only switches.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import quote

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import get_script_prefix, reverse, set_script_prefix
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from domventas.core import tenancy
from domventas.core.api import entrance
from domventas.core.models import Membership
from domventas.core.times import zone

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Neither login nor client: machines and files. A webhook finds its client by its Route.
UNSCOPED: Final = ("/static/", "/health", "/in/")
#: Pages of the platform itself; everything else of a signed-in person stands under a client.
PLATFORM: Final = ("/sign-in/", "/admin/login/", "/admin/logout/", "/admin/jsi18n/", "/i18n/")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ActiveClient:
    """Runs each request in a context of its own, as the client in its path, with a request id."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Whatever the request leaves set cannot reach the next one on the thread."""
        return tenancy.isolated(self._answer, request)

    def _answer(self, request: Any) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request.id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.client, request.membership = None, None
        response = self._choose(request)
        response["X-Request-Id"] = request.id
        return response

    def _choose(self, request: Any) -> HttpResponseBase:
        if request.path_info.startswith(UNSCOPED):
            return self.get_response(request)
        if request.path_info.startswith(entrance.PREFIX):
            return entrance.enter(request, self.get_response)
        in_path = request.path_info.startswith("/c/")
        if request.user.is_anonymous:
            login = reverse("admin:login")
            return redirect_to_login(request.get_full_path(), login) if in_path else self.get_response(request)
        mine = {membership.client.slug: membership for membership in memberships_of(request.user)}
        if not in_path:
            return self._without_client(request, mine)
        slug, _slash, rest = request.path_info[3:].partition("/")
        if slug not in mine:
            raise Http404
        wish = request.GET.get("client")
        if wish and wish != slug:
            return _switch(request, wish, f"/{rest}", mine)
        request.path_info = f"/{rest}"
        return self._with_client(request, mine[slug])

    def _without_client(self, request: Any, mine: dict[str, Membership]) -> HttpResponseBase:
        """A member is sent to a client; the platform's pages and operators without a client go on without."""
        path = request.path_info
        if not mine or path.startswith(PLATFORM):
            with tenancy.known_as(request.user.email, request.id):
                return self.get_response(request)
        if request.method not in SAFE:
            return _conflict(request)
        wish = request.GET.get("client") or request.session.get("client")
        if wish not in mine and not request.GET.get("client"):
            wish = next(iter(mine))
        return _switch(request, str(wish), path, mine)

    def _with_client(self, request: Any, membership: Membership) -> HttpResponseBase:
        client = membership.client
        request.client, request.membership = client, membership
        if request.method not in SAFE:
            said = request.headers.get("X-Client") or request.POST.get("_client")
            if said != client.slug:
                return _conflict(request)
        if request.session.get("client") != client.slug:
            request.session["client"] = client.slug
        actor = request.user.email
        with (
            _prefix(f"/c/{client.slug}/"),
            timezone.override(zone(client.zone)),  # every time on a page is the client's; `pages/base.html` names it
            tenancy.acting_for(client, brands=membership.brands, actor=actor, request=request.id),
        ):
            response = self.get_response(request)
            if isinstance(response, StreamingHttpResponse) and not response.is_async:
                # The body is produced after we have left: each step enters again.
                content = cast("Iterable[bytes]", response.streaming_content)
                response.streaming_content = tenancy.keep_stream(content)
            return response


def memberships_of(user: Any) -> list[Membership]:
    """Memberships in active clients, by the client's name."""
    chosen = Membership.objects.filter(user=user, client__active=True)
    return list(chosen.select_related("client").order_by("client__name"))


@contextmanager
def _prefix(prefix: str) -> Iterator[None]:
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(before)


def _switch(request: Any, slug: str, path: str, mine: dict[str, Membership]) -> HttpResponseBase:
    """To the same page of another client; with nothing but the path and the other parameters."""
    if slug not in mine:
        raise Http404
    query = request.GET.copy()
    query.pop("client", None)
    tail = f"?{query.urlencode()}" if query else ""
    return HttpResponseRedirect(f"/c/{slug}{quote(path)}{tail}")


def _conflict(request: HttpRequest) -> HttpResponseBase:
    title = _("This page was opened for another client")
    text = _("Nothing was saved. Open the page again and repeat what you wanted to do.")
    return render(request, "core/conflict.html", {"title": title, "text": text}, status=409)
