"""Amazon's front door: sign-in with expiring tokens, request ids, quotas, and errors in Amazon's shape."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable

from ..world.places import ACCOUNTS, Account
from .http import Request, Response, json_response
from .limits import Rate
from .state import State

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 (the demo's public sandbox secret, opens nothing else)
TOKEN_SECONDS = 3600
RATES = {
    "searchOrders": Rate(0.0056, 20),
    "getOrder": Rate(0.5, 30),
    "confirmShipment": Rate(2, 10),
    "createReport": Rate(0.0167, 15),
    "getReport": Rate(2, 15),
    "getReports": Rate(0.0222, 10),
    "getReportDocument": Rate(0.0167, 15),
    "listTransactions": Rate(0.5, 10),
    "getMarketplaceParticipations": Rate(0.016, 15),
    "getDestinations": Rate(1, 5),
    "createDestination": Rate(1, 5),
    "getSubscription": Rate(1, 5),
    "createSubscription": Rate(1, 5),
    "deleteSubscriptionById": Rate(1, 5),
}
#: What an application may ask for without a seller's consent.
NOTIFICATIONS = "sellingpartnerapi::notifications"
_request_numbers = itertools.count(1)

Answer = Callable[..., Response]


def error(status: int, code: str, message: str, details: str = "") -> Response:
    """Amazon's error body."""
    return json_response({"errors": [{"code": code, "message": message, "details": details}]}, status)


def bad_request(details: str) -> Response:
    """400 InvalidInput with the reason."""
    return error(400, "InvalidInput", "Invalid Input", details)


def sign_in(state: State, request: Request) -> Response:
    """Login with Amazon: a refresh token, or the application's own right to a scope, becomes a token for an hour."""
    form = request.form()
    if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
        return _sign_in_error("invalid_client", "Client authentication failed", 401)
    if form.get("grant_type") == "client_credentials":
        return _sign_in_app(state, form.get("scope", ""))
    if form.get("grant_type") != "refresh_token":
        return _sign_in_error("unsupported_grant_type", "The authorization grant type is not supported")
    refresh_token = form.get("refresh_token", "")
    account = next((a for a in ACCOUNTS.values() if a.refresh_token and a.refresh_token == refresh_token), None)
    if account is None or account.code in state.revoked:
        state.buckets.signed_in(account.code if account else "", refused=True)
        return _sign_in_error("invalid_grant", "The request has an invalid grant parameter : refresh_token")
    state.buckets.signed_in(account.code)
    with state.lock:
        serial = f"{refresh_token}:{len(state.tokens)}:{state.world.seed}"
        token = "Atza|" + hashlib.sha256(serial.encode()).hexdigest()
        state.tokens[token] = (account.code, state.timer() + TOKEN_SECONDS)
    return json_response(
        {
            "access_token": token,
            "refresh_token": refresh_token,
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
        }
    )


def _sign_in_app(state: State, scope: str) -> Response:
    if scope != NOTIFICATIONS:
        return _sign_in_error("invalid_scope", "The requested scope is invalid")
    with state.lock:
        serial = f"{scope}:{len(state.app_tokens)}:{state.world.seed}"
        token = "Atc|" + hashlib.sha256(serial.encode()).hexdigest()
        state.app_tokens[token] = (scope, state.timer() + TOKEN_SECONDS)
    return json_response({"access_token": token, "scope": scope, "token_type": "bearer", "expires_in": TOKEN_SECONDS})


def _sign_in_error(code: str, description: str, status: int = 400) -> Response:
    return json_response({"error": code, "error_description": description}, status)


def guarded(state: State, region: str, operation: str, answer: Answer) -> Answer:
    """Let only a signed-in seller of the region within his quota through to `answer(state, account, request)`."""

    def serve(request: Request, **arguments: str) -> Response:
        account = _who(state, region, request)
        response = (
            account
            if isinstance(account, Response)
            else _metered(state, account, operation, answer, request, arguments)
        )
        return response.with_headers(x_amzn_RequestId=_request_id())

    return serve


def grantless(state: State, region: str, operation: str, answer: Answer) -> Answer:
    """Let an application within its quota through to `answer(state, region, request)`; a seller's token is no good."""

    def serve(request: Request, **arguments: str) -> Response:
        scope, expires = state.app_tokens.get(request.headers.get("x-amz-access-token", ""), ("", 0.0))
        if scope != NOTIFICATIONS or expires <= state.timer():
            denied = "Access to requested resource is denied."
            response = error(403, "Unauthorized", denied, "The access token you provided is none of the application's.")
        elif state.buckets.take(f"application {region}", operation, RATES[operation]):
            response = error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        else:
            response = answer(state, region, request, **arguments)
        return response.with_headers(x_amzn_RequestId=_request_id())

    return serve


def _who(state: State, region: str, request: Request) -> Account | Response:
    denied = "Access to requested resource is denied."
    token = request.headers.get("x-amz-access-token")
    if not token:
        return error(403, "Unauthorized", denied, "Access token is missing in the request header.")
    code, expires = state.tokens.get(token, ("", 0.0))
    if not code:
        return error(403, "Unauthorized", denied, "The access token you provided is revoked, malformed or invalid.")
    if expires <= state.timer():
        return error(403, "Unauthorized", denied, "The access token you provided has expired.")
    account = ACCOUNTS[code]
    if account.region != region:
        return error(403, "Unauthorized", denied, "The access token is not authorized for this region.")
    return account


def _metered(
    state: State, account: Account, operation: str, answer: Answer, request: Request, arguments: dict[str, str]
) -> Response:
    rate = RATES[operation]
    if state.buckets.take(account.code, operation, rate):
        return error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
    response = answer(state, account, request, **arguments)
    return response.with_headers(x_amzn_RateLimit_Limit=f"{rate.per_second * state.buckets.speed:g}")


def _request_id() -> str:
    number = f"{next(_request_numbers):032x}"
    return f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
