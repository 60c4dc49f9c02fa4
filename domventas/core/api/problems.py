"""Errors as machines read them: application/problem+json (RFC 9457), with the request's id and never a secret."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from domventas.core.errors import Conflict, DomventasError

CONTENT_TYPE: Final = "application/problem+json"


class Stale(exceptions.APIException):
    """The caller has seen an older state (If-Match)."""

    status_code = 412
    default_detail = "It has changed since you read it. Read it again, then decide."
    default_code = "stale"


class Unprocessable(exceptions.APIException):
    """Well-formed, but the rules of the house forbid it."""

    status_code = 422
    default_code = "refused"


def problem(request: HttpRequest, status: int, detail: str, *, headers: dict[str, str] | None = None) -> HttpResponse:
    """A problem outside the views: no token, too many requests, a key used twice."""
    body = json.dumps(_body(status, detail, getattr(request, "id", "")))
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers or {})


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """What the views raised, as a problem; what nobody foresaw is for the log, not for the caller."""
    if isinstance(error, Conflict):
        error = exceptions.APIException(error.message)
        error.status_code = 409
    elif isinstance(error, DomventasError):
        error = Unprocessable(error.message)
    elif isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    response = exception_handler(error, context)
    if response is None:
        return None
    request_id = getattr(context["request"], "id", "")
    if isinstance(error, exceptions.ValidationError):
        body = _body(400, "Some fields are not as they must be.", request_id) | {"errors": _errors(response.data)}
    else:
        detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
        body = _body(response.status_code, str(detail), request_id)
    response.data, response.content_type = body, CONTENT_TYPE
    return response


def _body(status: int, detail: str, request_id: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id}


def _errors(found: Any, path: str = "") -> list[dict[str, str]]:
    """Field by field: where, and what is wrong there."""
    if isinstance(found, dict):
        return [one for key, value in found.items() for one in _errors(value, f"{path}.{key}" if path else str(key))]
    if isinstance(found, list):
        return [one for value in found for one in _errors(value, path)]
    return [{"field": path, "message": str(found)}]
