"""Otto Market's API: signing in as an app of our own, sending requests, links that lead to the next page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Unauthorized
from marketplaces.http import strict_json
from marketplaces.port import Answer, Checked, CredentialField, Door, Limit, Token
from marketplaces.protocols import reading
from marketplaces.protocols.reading import body_of
from marketplaces.protocols.sign_in import token_of, with_token

CREDENTIALS = (
    CredentialField(name="client_id", label="Client id", secret=False, help="Otto Partner Connect, API access."),
    CredentialField(name="client_secret", label="Client secret", help="Shown once, when the app is made."),
)
#: Otto counts 20 calls a second over everything a partner asks, 10 of them for products: these add up to less.
LIMITS = {
    "orders.list": Limit(rate=4, burst=8),
    "orders.get": Limit(rate=2, burst=4),
    "products.list": Limit(rate=3, burst=6),
    "products.status": Limit(rate=2, burst=4),
    "quantities.list": Limit(rate=3, burst=6),
    "shipments.create": Limit(rate=3, burst=6),
    "shipments.get": Limit(rate=3, burst=6),
}
SCOPES = "orders products quantities shipments"
_TOKEN_NAME = "client"  # noqa: S105  # the name of a drawer, not a secret


class OttoSession:
    """One partner, signed in when the first request needs it."""

    def __init__(self, door: Door) -> None:
        self.door = door
        #: What one reading of the offers has found out beside the products; see `offers`.
        self.kept: dict[str, Any] = {}
        #: The app lacks some right, so each right has a token of its own: what is granted goes on.
        self._by_scope = False

    def call(
        self, method: str, path: str, *, operation: str, params: Mapping[str, str] | None = None, json: Any = None
    ) -> Answer:
        """Send one request with a valid token; a token refused before its time is renewed once.

        Raises:
            Unauthorized: also the new token is refused, or no token is given.
            Forbidden: the app lacks the right to this.
        """
        url = self.door.hosts["api"] + path

        def send(token: str) -> Answer:
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            return self.door.http.request(method, url, operation=operation, headers=headers, params=params, json=json)

        if not self._by_scope:
            try:
                return with_token(self.door, _TOKEN_NAME, lambda: self._sign_in(SCOPES), send)
            except Forbidden as error:
                if error.operation != "token":
                    raise
                self._by_scope = True
        scope = operation.partition(".")[0]
        return with_token(self.door, f"{_TOKEN_NAME}:{scope}", lambda: self._sign_in(scope), send)

    def _sign_in(self, scopes: str) -> Token:
        given = self.door.credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": given.get("client_id", ""),
            "client_secret": given.get("client_secret", ""),
            "scope": scopes,
        }
        url = self.door.hosts["api"] + "/v1/token"
        try:
            answer = self.door.http.request("POST", url, operation="token", data=form, throttled=False)
        except (Refused, Forbidden) as error:
            # One right that is not granted comes as 400 invalid_scope, for all that were asked for together.
            is_scope = "invalid_scope" in error.excerpt
            kind, why = (Forbidden, "the app lacks a right") if is_scope else (Unauthorized, "the app is not let in")
            raise kind(
                f"Otto gives no access token for {scopes.replace(' ', ', ')}: {why}.",
                operation="token", status=error.status, request_id=error.request_id, excerpt=error.excerpt,
            ) from None  # fmt: skip
        return token_of(answer, now=self.door.clock())


def in_their_words(error: Refused) -> str:
    """What Otto says is wrong; our own words where its answer cannot be read."""
    try:
        told = reading.rows(strict_json(error.excerpt.encode()).get("errors"), "errors")
    except (Malformed, AttributeError):
        told = []
    parts = ([str(row.get(name) or "") for name in ("title", "detail", "jsonPath")] for row in told)
    return "; ".join(": ".join(filter(None, part)) for part in parts) or f"{error.message} {error.excerpt}".strip()


def following(body: Mapping[str, Any], name: str, sent: str) -> str:
    """One parameter of the link to the next page; empty on the last page.

    Raises:
        Malformed: the link leads back to its own page, or lacks the parameter.
    """
    link = next((x for x in reading.rows(body.get("links"), "links") if x.get("rel") == "next"), None)
    if link is None:
        return ""
    found = parse_qs(urlsplit(reading.text(link, "href")).query).get(name, [""])[0]
    if not found:
        raise Malformed(f"The link to the next page does not name its {name}.", path="links")
    return reading.next_token(sent, found)


def check(session: OttoSession) -> Checked:
    """Sign in and ask for one order; Otto has no call that says who one is."""
    try:
        body = body_of(session.call("GET", "/v4/orders", operation="orders.list", params={"limit": "1"}))
        reading.rows(body["resources"], "resources")
    except BorderError as error:
        return Checked(ok=False, message=str(error), cause=error)
    except KeyError:
        return Checked(ok=False, message="Signed in, but Otto's answer holds no list of orders.")
    site = session.door.sites[0]
    return Checked(ok=True, message="Signed in; orders, products and shipments may be used.", sites=(site.code,))
