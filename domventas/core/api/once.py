"""Doing a thing once, however often it is asked for: the answer is kept in the transaction that did the thing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from domventas.core.api.problems import problem
from domventas.core.models import ApiReply

LONGEST: Final = 255

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def answer(request: Any, key: str, get_response: GetResponse, *, now: datetime) -> HttpResponseBase:
    """The answer to a writing request with an idempotency key: the kept one, or that of doing it now.

    What fails (4xx, 5xx) is undone and not kept: the same key may be tried again. Of two at the same time the second
    waits for the first, three seconds at most. Another request under a used key is refused (422).
    """
    if not 0 < len(key) <= LONGEST or not key.isprintable():
        return problem(request, 400, f"An idempotency key has 1 to {LONGEST} printable characters.")
    prefix, fingerprint = request.api_token.prefix, _fingerprint(request)
    known = _known(request, prefix, key, fingerprint)
    if known is not None:
        return known
    try:
        with transaction.atomic():
            reply = ApiReply.objects.create(token_prefix=prefix, key=key, fingerprint=fingerprint, created_at=now)
            response: Any = get_response(request)
            if response.status_code >= 400:
                transaction.set_rollback(True)
            else:
                reply.status, reply.body = response.status_code, response.content.decode()
                reply.save(update_fields=["status", "body"])
            return response
    except IntegrityError:
        known = _known(request, prefix, key, fingerprint)
        if known is None:
            raise
        return known
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "55P03":  # lock_timeout: the first one is still at work
            raise
        return problem(request, 409, "A request with this key is being worked on.", headers={"Retry-After": "1"})


def _known(request: HttpRequest, prefix: str, key: str, fingerprint: str) -> HttpResponse | None:
    reply = ApiReply.objects.filter(token_prefix=prefix, key=key).first()
    if reply is None:
        return None
    if reply.fingerprint != fingerprint:
        return problem(request, 422, "This key was used for another request.")
    kept = HttpResponse(reply.body, status=reply.status, content_type="application/json")
    kept["Idempotent-Replayed"] = "true"
    return kept


def _fingerprint(request: HttpRequest) -> str:
    told = f"{request.method}\n{request.get_full_path()}\n".encode() + request.body
    return hashlib.sha256(told).hexdigest()
