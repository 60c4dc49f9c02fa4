"""Requests of the Mirakl seller API: the shop's key, and pages by offset or by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplaces.errors import BorderError, Malformed, Refused
from marketplaces.port import Answer, Checked, CredentialField, Door, Limit, RawPage
from marketplaces.protocols import reading
from marketplaces.protocols.reading import body_of

CREDENTIALS = (
    CredentialField(name="api_key", label="API key", help="Shop settings, API key; it belongs to one user."),
    CredentialField(name="shop_id", label="Shop id", secret=False, help="Needed where the user has several shops."),
)
LIMITS = {
    # Pages of one poll come on top of the stated interval, hence the bursts.
    "OR11": Limit(rate=1 / 60, burst=20),
    # Allowed with each change of an order; these keep a big day polite.
    "OR23": Limit(rate=1.0, burst=20),
    "OR24": Limit(rate=1.0, burst=20),
    "OF21": Limit(rate=1 / 60, burst=20),
    "TL02": Limit(rate=1 / 60, burst=20),
    "SBC11": Limit(rate=2 / 86400, burst=10),
    "A01": Limit(rate=2 / 86400, burst=10),
}
PAGE = 100


class MiraklSession:
    """One shop at one operator."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def get(self, path: str, params: Mapping[str, str], *, operation: str) -> Answer:
        """Send one GET for this shop."""
        return self.call("GET", path, params, operation=operation)

    def put(self, path: str, body: Any, *, operation: str) -> Answer:
        """Send one PUT for this shop; `body` goes as JSON, None sends none."""
        return self.call("PUT", path, {}, operation=operation, json=body)

    def call(self, method: str, path: str, params: Mapping[str, str], *, operation: str, json: Any = None) -> Answer:
        """Send one request for this shop."""
        shop = self.door.credentials.get("shop_id", "")
        headers = {"Authorization": self.door.credentials.get("api_key", ""), "Accept": "application/json"}
        return self.door.http.request(
            method,
            self.door.hosts["api"] + path,
            operation=operation,
            headers=headers,
            params={**params, **({"shop_id": shop} if shop else {})},
            json=json,
        )

    def offset_page(
        self, path: str, params: Mapping[str, str], token: str, *, operation: str, rows: str, key: str
    ) -> RawPage:
        """A page by offset. The token is `offset/total`: when the total shrank since, rows moved up past the offset.

        Those rows would be missed, so reading goes on from where they are now; seeing some twice is harmless. It ends,
        because the total cannot shrink for ever. A row that stands in the page twice, by its `key`, counts once, or the
        next page would begin too late.
        """
        offset, before = _offset(token)
        answer = self.get(path, {**params, "max": str(PAGE), "offset": str(offset)}, operation=operation)
        body = body_of(answer)
        total, found = reading.count(body, "total_count"), reading.listed(body.get(rows), rows)
        named = (row if isinstance(row, dict) else {} for row in found)
        got = len({str(row.get(key, f"row {n}")) for n, row in enumerate(named)})
        if not got and offset < total:
            raise Malformed(f"The answer counts {total} rows but brings none from {offset} on.", operation)
        moved = max(0, before - total) if before is not None else 0
        following = max(0, offset - moved) if moved else offset + got
        is_last = not moved and (got == 0 or following >= total)
        return _page(answer, "" if is_last else f"{following}/{total}", f"{operation}-{offset}", self)

    def seek_page(self, path: str, params: Mapping[str, str], token: str, limit: int, *, operation: str) -> RawPage:
        """A page by token, which replaces all filters."""
        asked = {"page_token": token} if token else dict(params)
        answer = self.get(path, {**asked, "limit": str(limit)}, operation=operation)
        following = reading.maybe_text(body_of(answer), "next_page_token") or ""
        return _page(answer, reading.next_token(token, following), operation, self)


def _offset(token: str) -> tuple[int, int | None]:
    if not token:
        return 0, None
    offset, _, total = token.partition("/")
    if not offset.isdigit() or not total.isdigit():
        raise Refused("The page to go on with cannot be understood; the window has to start anew.")
    return int(offset), int(total)


def _page(answer: Answer, following: str, name: str, session: MiraklSession) -> RawPage:
    return RawPage(
        body=answer.body,
        content_type="application/json",
        next_token=following,
        context={"seen_at": reading.iso(session.door.clock())},
        name=name,
    )


def check(session: MiraklSession) -> Checked:
    """Ask for the shop the key belongs to."""
    try:
        body = body_of(session.get("/api/account", {}, operation="A01"))
        shop, currency = reading.text(body, "shop_id"), reading.text(body, "currency_iso_code")
    except BorderError as error:
        return Checked(ok=False, message=str(error), cause=error)
    site = session.door.sites[0]
    wanted = session.door.credentials.get("shop_id", "")
    if wanted and wanted != shop:
        return Checked(ok=False, message=f"The key belongs to shop {shop}, not to shop {wanted}.")
    if currency != site.currency:
        return Checked(ok=False, message=f"The shop trades in {currency}, but {site.label} in {site.currency}.")
    return Checked(ok=True, message=f"Signed in as shop {shop}.", sites=(site.code,))
