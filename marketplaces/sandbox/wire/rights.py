"""Rights taken away: a good sign-in that may not ask one thing, refused with 403 in each marketplace's own form."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

from . import amazon_base, mirakl_base, otto_base
from .http import Handler, Request, Response, Route, json_response, route

#: Refused before rights are looked at: no sign-in, a bad one, or too fast.
_BEFORE = (401, 403, 429)


@dataclass
class Rights:
    """Parts of paths nobody may ask for until they are granted again."""

    denied: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, handler: Handler) -> Handler:
        """Round every request; what may not be done is not done."""

        def serve(request: Request) -> Response:
            with self.lock:
                is_denied = any(part in request.path for part in self.denied)
            if not is_denied or request.path.startswith("/__sandbox"):
                return handler(request)
            if request.method == "GET" and (truth := handler(request)).status in _BEFORE:
                return truth
            return refused(request)

        return serve

    def routes(self) -> list[Route]:
        """The control plane's address for them."""

        def rights(request: Request) -> Response:
            try:
                told = json.loads(request.body)
                path, is_granted = str(told["path"]), bool(told["granted"])
            except (ValueError, KeyError, TypeError):
                return json_response({"message": 'send {"path": "/finances/", "granted": false}'}, 400)
            with self.lock:
                (self.denied.discard if is_granted else self.denied.add)(path)
            return json_response({"denied": sorted(self.denied)})

        return [route("POST", "/__sandbox/rights", rights)]


def refused(request: Request) -> Response:
    """403 as the marketplace of this path says it."""
    if request.path.startswith("/amazon"):
        return amazon_base.error(403, "Unauthorized", "Access to requested resource is denied.", "")
    if request.path.startswith(otto_base.BASE):
        return otto_base.error(403, request.path, "FORBIDDEN", "The access token lacks a scope.")
    return mirakl_base.error(403, "You are not allowed to access this resource")
