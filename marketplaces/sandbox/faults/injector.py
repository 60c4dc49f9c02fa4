"""The wrapper that spoils requests by plan, counts what it did, and can be given another plan while it runs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from dataclasses import replace

from ..wire.http import Handler, Request, Response, Route, json_response, route
from .kinds import KINDS, Call
from .plan import Plan, named
from .shapes import shape_of

CONTROL = "/__sandbox/"
#: Parameters that differ each time the same thing is asked for.
_FLEETING = ("Expires", "Signature")
#: Parameters that say how many records a page may have.
_SIZES = ("max", "limit", "maxResultsPerPage", "pageSize")


class Injector:
    """Spoils what its plan says; the sandbox's own control plane stays as it is."""

    def __init__(self, plan: Plan) -> None:
        self._lock = threading.Lock()
        self.use(plan)

    def use(self, plan: Plan) -> None:
        """Follow another plan from now on; all counts begin anew."""
        with self._lock:
            self.plan = plan
            self.requests = 0
            self.injected: Counter[str] = Counter()
            self._attempts: Counter[str] = Counter()
            self._last: dict[str, str] = {}

    def wrap(self, serve: Handler) -> Handler:
        """Put the plan around what answers."""

        def answer(request: Request) -> Response:
            if request.path.startswith(CONTROL):
                return serve(request)
            fewer = smaller(request, self.plan.page)
            spoiled = self._spoiled(fewer, serve)
            return serve(fewer) if spoiled is None else spoiled

        return answer

    def _spoiled(self, request: Request, serve: Handler) -> Response | None:
        name = identity(request)
        with self._lock:
            plan = self.plan
            self.requests += 1
            self._attempts[name] += 1
            attempt, last = self._attempts[name], self._last.get(name)
            self._last[name] = ""
        for kind in plan.order(name, attempt):
            if kind == last:  # the same fault twice running would look like the marketplace's own word
                continue
            call = Call(
                request=request, serve=serve, rng=plan.chance(name, attempt), shape=shape_of(request), stall=plan.stall
            )
            spoiled = KINDS[kind].spoil(call)
            if spoiled is not None:
                with self._lock:
                    self._last[name] = kind
                    self.injected[kind] += 1
                return spoiled
        return None

    def view(self) -> dict[str, object]:
        """What is planned and what was done, as the control plane shows it."""
        with self._lock:
            return {
                "plan": {
                    "kinds": list(self.plan.kinds), "seed": self.plan.seed, "rate": self.plan.rate,
                    "most": self.plan.most, "stall": self.plan.stall, "page": self.plan.page,
                },
                "requests": self.requests,
                "faults": sum(self.injected.values()),
                "injected": dict(sorted(self.injected.items())),
            }  # fmt: skip


def smaller(request: Request, page: int) -> Request:
    """The request for pages of at most so many records; 0 leaves it as it is."""
    if not page:
        return request
    asked = tuple((k, str(min(int(v), page)) if k in _SIZES and v.isdigit() else v) for k, v in request.query)
    return replace(request, query=asked)


def identity(request: Request) -> str:
    """One and the same request, however often it is asked."""
    asked = sorted((key, value) for key, value in request.query if key not in _FLEETING)
    told = [request.method, request.path, json.dumps(asked), hashlib.sha256(request.body).hexdigest()[:16]]
    return " ".join(told)


def fault_routes(injector: Injector) -> list[Route]:
    """`GET` and `POST /__sandbox/faults`."""

    def look(_: Request) -> Response:
        return json_response(injector.view())

    def change(request: Request) -> Response:
        try:
            told = json.loads(request.body)
            plan = told.pop("plan", "calm")
            injector.use(named(plan, **told))
        except (ValueError, TypeError, AttributeError) as problem:
            example = 'send {"plan": "storm", "seed": 1, "rate": 0.3}'
            return json_response({"message": f"{problem}; {example}"}, 400)
        return json_response(injector.view())

    return [route("GET", "/__sandbox/faults", look), route("POST", "/__sandbox/faults", change)]
