"""Answers that never arrive: a request is done, or not done, and then the connection ends or stays silent for long."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

from .http import Delivery, Handler, Request, Response, Route, json_response, route

_WHEN = ("after", "before", "stall")
_LONGEST = 60.0


_TORN = Response(delivery=Delivery(reset=True))


@dataclass
class Drops:
    """What is to be dropped: orders of the control plane, used up one by one.

    An order is `{"path": part of the path, "when": "after" | "before" | "stall", "times": 1, "seconds": 30}`: the
    request is carried out and then dropped, dropped without being carried out, or carried out and left unanswered.
    """

    asked: list[dict[str, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, path: str) -> tuple[str, float]:
        """What to do with this request; ("", 0.0) lets it pass."""
        with self.lock:
            for order in self.asked:
                if str(order["path"]) in path:
                    order["times"] = int(str(order["times"])) - 1
                    if not order["times"]:
                        self.asked.remove(order)
                    return str(order["when"]), float(str(order["seconds"]))
        return "", 0.0

    def wrap(self, handler: Handler) -> Handler:
        """Round every request."""

        def serve(request: Request) -> Response:
            when, seconds = ("", 0.0) if request.path.startswith("/__sandbox") else self.take(request.path)
            if when == "before":
                return _TORN
            response = handler(request)
            if when == "stall":
                time.sleep(seconds)
            return _TORN if when else response

        return serve

    def routes(self) -> list[Route]:
        """The control plane's address for them."""

        def drops(request: Request) -> Response:
            try:
                order = {"times": 1, "seconds": 30.0, **json.loads(request.body)}
                is_known = isinstance(order["path"], str) and order["when"] in _WHEN
                is_known = is_known and int(order["times"]) > 0 and 0 < float(order["seconds"]) <= _LONGEST
            except (ValueError, KeyError, TypeError):
                is_known = False
            if not is_known:
                return json_response({"message": 'send {"path": "shipmentConfirmation", "when": "after"}'}, 400)
            with self.lock:
                self.asked.append(order)
            return json_response({"waiting": len(self.asked)})

        return [route("POST", "/__sandbox/drops", drops)]
