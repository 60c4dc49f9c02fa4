"""Amazon's Selling Partner API: signing in, sending requests, pages that end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Unauthorized, Unavailable
from marketplaces.http import strict_json
from marketplaces.port import Answer, Checked, CredentialField, Door, Limit, Token
from marketplaces.protocols.reading import body_of, iso, part, rows, text
from marketplaces.protocols.sign_in import token_of, with_token

CREDENTIALS = (
    CredentialField(name="client_id", label="LWA client id", secret=False, help="Seller Central, Develop Apps."),
    CredentialField(
        name="client_secret", label="LWA client secret", help="Runs out after 180 days.", lasts=timedelta(days=180)
    ),
    CredentialField(name="refresh_token", label="Refresh token", help="One per seller account and region."),
)
LIMITS = {
    "orders.search": Limit(rate=0.0056, burst=20),
    "orders.get": Limit(rate=0.5, burst=30),
    "shipments.confirm": Limit(rate=2.0, burst=10),
    "reports.list": Limit(rate=0.0222, burst=10),
    "reports.create": Limit(rate=0.0167, burst=15),
    "reports.get": Limit(rate=2.0, burst=15),
    "reports.document": Limit(rate=0.0167, burst=15),
    "finances.transactions": Limit(rate=0.5, burst=10),
    "sellers.participations": Limit(rate=0.016, burst=15),
    "destinations.list": Limit(rate=1.0, burst=5),
    "destinations.create": Limit(rate=1.0, burst=5),
    "subscriptions.get": Limit(rate=1.0, burst=5),
    "subscriptions.create": Limit(rate=1.0, burst=5),
    "subscriptions.delete": Limit(rate=1.0, burst=5),
}
_TOKEN_NAME = "lwa"  # noqa: S105  # the name of a drawer, not a secret
#: What the details of a 403 say when it is the token that is refused, not the right.
_TOKEN_REFUSED = "access token"  # noqa: S105  # their words, not a secret
_AGENT = "domventas/1.0 (Language=Python)"


class AmazonSession:
    """One seller account in one region, signed in when the first request needs it."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.marketplace_ids = [site.external_id for site in door.sites]

    def call(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        scope: str = "",
    ) -> Answer:
        """Send one request with a valid token; a token refused before its time is renewed once.

        Args:
            scope: what the application may ask in its own name, without the seller's consent (*grantless*).

        Raises:
            Unauthorized: also the new token is refused, or no token is given.
            Forbidden: the token is good, and the app lacks a role for this call.
        """
        url = self.door.hosts["api"] + path

        def send(token: str) -> Answer:
            return self.door.http.request(
                method, url, operation=operation, headers=self._headers(token), params=params, json=json
            )

        name, make = (f"{_TOKEN_NAME} {scope}", partial(self._sign_in_app, scope)) if scope else (
            _TOKEN_NAME, self._sign_in,
        )  # fmt: skip
        try:
            return with_token(self.door, name, make, send)
        except Forbidden as error:
            if _TOKEN_REFUSED not in error.excerpt.lower():
                raise
            # Amazon says 403 to a bad token as well; only its words tell the two apart.
            raise Unauthorized(
                "Amazon refuses a new access token.", operation=operation, status=error.status,
                request_id=error.request_id, excerpt=error.excerpt,
            ) from None  # fmt: skip

    def fetch_document(self, url: str) -> Answer:
        """Get a report's bytes. Its address is signed already; our token must not travel there.

        Raises:
            Unavailable: the address has run out; the next try gets a new one.
        """
        try:
            return self.door.http.request("GET", url, operation="reports.download", throttled=False)
        except Unauthorized as error:
            raise Unavailable(
                "The address of the report has run out.", operation="reports.download", status=error.status
            ) from None

    def _headers(self, token: str) -> dict[str, str]:
        moment = self.door.clock().strftime("%Y%m%dT%H%M%SZ")
        return {"x-amz-access-token": token, "x-amz-date": moment, "user-agent": _AGENT, "accept": "application/json"}

    def _sign_in(self) -> Token:
        refresh_token = self.door.credentials.get("refresh_token", "")
        # A revoked consent comes as 400 invalid_grant: people have to act, as with 401.
        return self._token(
            "Amazon gives no access token: consent or client secret is not valid any more.",
            grant_type="refresh_token", refresh_token=refresh_token,
        )  # fmt: skip

    def _sign_in_app(self, scope: str) -> Token:
        return self._token(
            f"Amazon gives the application no token for {scope}: in Develop Apps it lacks the right to it.",
            grant_type="client_credentials", scope=scope,
        )  # fmt: skip

    def _token(self, refused: str, **asked: str) -> Token:
        given = self.door.credentials
        form = {
            **asked, "client_id": given.get("client_id", ""), "client_secret": given.get("client_secret", ""),
        }  # fmt: skip
        url = self.door.hosts["token"] + "/o2/token"
        try:
            answer = self.door.http.request("POST", url, operation="token", data=form, throttled=False)
        except (Refused, Forbidden) as error:
            raise Unauthorized(
                refused, operation="token", status=error.status, request_id=error.request_id, excerpt=error.excerpt
            ) from None
        return token_of(answer, now=self.door.clock())


def in_their_words(error: Refused) -> str:
    """What Amazon says is wrong; our own words where its answer cannot be read."""
    try:
        told = rows(strict_json(error.excerpt.encode()).get("errors"), "errors")
        words = [" ".join(filter(None, (str(x.get("message") or ""), str(x.get("details") or "")))) for x in told]
    except (Malformed, AttributeError):
        words = []
    return "; ".join(filter(None, words)) or f"{error.message} {error.excerpt}".strip()


def check(session: AmazonSession) -> Checked:
    """Sign in and ask which sites this seller may sell on."""
    try:
        answer = session.call("GET", "/sellers/v1/marketplaceParticipations", operation="sellers.participations")
        ids = {
            text(part(row, "marketplace"), "id")
            for row in rows(body_of(answer).get("payload"), "payload")
            if part(row, "participation").get("isParticipating") is True
        }
    except BorderError as error:
        return Checked(ok=False, message=str(error), cause=error)
    wanted = {site.external_id: site.code for site in session.door.sites}
    missing = sorted(code for external_id, code in wanted.items() if external_id not in ids)
    sites = tuple(sorted(code for external_id, code in wanted.items() if external_id in ids))
    if missing:
        return Checked(
            ok=False, message=f"Signed in, but the seller does not sell on {', '.join(missing)}.", sites=sites
        )
    return Checked(ok=True, message=f"Signed in; the seller sells on {', '.join(sites)}.", sites=sites)


def window_params(after: str, before: str, since: Any, until: Any) -> dict[str, str]:
    """Two time parameters in Amazon's spelling."""
    return {after: iso(since), before: iso(until)}
