"""Where marketplaces send webhooks to: `POST /in/<key>`, outside every client and without a login.

The Route names the client, the client's secret proves the bytes, the event is written down, and the answer is given:
all work comes after it. Nothing of the message and no secret is ever logged or told.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now as clock
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from domventas.core import tenancy
from domventas.core.models import Route
from marketplaces.events import Arrived, Forged
from marketplaces.models import Account, Inlet
from marketplaces.port import Limit
from marketplaces.registry import connectors
from marketplaces.services import inbox, inlets
from marketplaces.shared import limiter

log = logging.getLogger(__name__)

#: Longest message [bytes]; none that a marketplace sends comes near it.
LONGEST: Final = 256 * 1024
#: What one address takes: nobody's events come faster, and a flood must not reach the database.
RATE: Final = Limit(rate=50.0, burst=300)


@csrf_exempt
@require_POST
def receive(request: HttpRequest, key: str) -> HttpResponse:
    """Take one message: 200 stored or known, 401 not proved, 404 no such address, 413 too long, 429 too many."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > LONGEST:
        return _answer(413)  # unread
    route = Route.objects.filter(kind=Route.Kind.WEBHOOK, key=key, client__active=True).first()
    if route is None:
        return _answer(404)
    wait = limiter().acquire(inlets.budget_key(route.key), "in", RATE)
    if wait:
        answer = _answer(429)
        answer["Retry-After"] = str(math.ceil(wait))
        return answer
    message = Arrived(
        body=request.read(LONGEST), headers={name.lower(): value for name, value in request.headers.items()}
    )
    with tenancy.acting_for(route.client_id, actor="webhook", request=getattr(request, "id", "")):
        return _take(route, message)


def _take(route: Route, message: Arrived) -> HttpResponse:
    """Prove it and write it down; what cannot be read is kept as well, as sending it again would help nobody."""
    now = clock()
    inlet = Inlet.objects.filter(kind=route.kind, key=route.key, closed_at=None).first()
    account = Account.objects.filter(pk=route.account).first()
    connector = connectors.get(account.channel) if account else None
    if inlet is None or account is None or connector is None or connector.events is None:
        return _answer(404)
    if connector.events.verify is None:
        return _answer(404)
    try:
        connector.events.verify(message, inlets.active_secrets(inlet, now=now), now)
    except Forged as error:
        log.warning("%s: a message was not accepted: %s", account.code, error)
        inbox.refuse(inlet, str(error), now=now)
        return _answer(401)
    hints = inbox.hints_of(connector.events, message)
    inbox.accept(account, inlet.kind, [(message, hints)], now=now)
    return _answer(200)


def _answer(status: int) -> HttpResponse:
    answer = HttpResponse(status=status, content_type="text/plain")
    answer["Cache-Control"] = "no-store"
    return answer
