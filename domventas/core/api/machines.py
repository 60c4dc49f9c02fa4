"""Who asks the API, and what he may: a token the door has found, and its scopes."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from domventas.core.api.scopes import READ, WRITE
from domventas.core.models import ApiToken


class Machine:
    """Who asks: a token, not a person."""

    is_authenticated, is_active, is_anonymous = True, True, False

    def __init__(self, token: ApiToken) -> None:
        self.token = token

    def __str__(self) -> str:
        return f"token:{self.token.prefix}"


class ByToken(BaseAuthentication):
    """The door has looked the token up already (core.api.entrance); nothing else is asked."""

    def authenticate(self, request: Request) -> tuple[Machine, ApiToken] | None:
        """The token the door found."""
        token: ApiToken | None = getattr(request._request, "api_token", None)
        return (Machine(token), token) if token else None

    def authenticate_header(self, request: Request) -> str:
        """So that a missing token is 401, not 403."""
        return 'Bearer realm="domventas"'


class MayArea(BasePermission):
    """Reading wants `<area>:read`, everything else `<area>:write`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """By the view's `area` and the token's scopes."""
        token: Any = request.auth
        if token is None:
            return False
        verb = READ if request.method in ("GET", "HEAD", "OPTIONS") else WRITE
        return f"{view.area}:{verb}" in token.scopes
