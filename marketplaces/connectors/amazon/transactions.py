"""Amazon's transactions (finances 2024-06-19): money booked for shipments and refunds before a settlement names it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from marketplaces.connectors.amazon.client import AmazonSession, window_params
from marketplaces.connectors.amazon.sites import BY_ID
from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.reading import Row, body_of, part, rows, text
from marketplaces.records import Drift, MoneyEvent, TransactionRecord, TransactionState

_STATE = {
    "DEFERRED": TransactionState.DEFERRED,
    "RELEASED": TransactionState.RELEASED,
    "DEFERRED_RELEASED": TransactionState.RELEASED,
}
_EVENT = {
    "shipment": MoneyEvent.SALE,
    "refund": MoneyEvent.REFUND,
    "guaranteeclaim": MoneyEvent.REFUND,
    "chargeback": MoneyEvent.REFUND,
}


def fetch(session: AmazonSession, window: Window, token: str) -> RawPage:
    """One page of transactions posted in the window; the same parameters go with every page."""
    params = window_params("postedAfter", "postedBefore", window.since, window.until)
    if token:
        params["nextToken"] = token
    answer = session.call("GET", "/finances/2024-06-19/transactions", operation="finances.transactions", params=params)
    following = reading.maybe_text(part(body_of(answer), "payload"), "nextToken") or ""
    return RawPage(
        body=answer.body,
        content_type="application/json",
        next_token=reading.next_token(token, following),
        name=f"transactions-{window.since:%Y%m%dT%H%M%S}",
    )


def translate(page: RawPage) -> Iterator[Translated]:
    """Transactions of one page."""
    body = strict_json(page.body)
    if not isinstance(body, dict) or not isinstance(body.get("payload"), dict):
        raise Malformed("The answer holds no payload.", path="payload")
    found = reading.listed(body["payload"].get("transactions"), "payload.transactions")
    return reading.each(found, "payload.transactions", "transactionId", _transaction)


def _transaction(row: Row) -> Iterator[Translated]:
    drift: list[Drift] = []
    names = {
        str(x.get("relatedIdentifierName")): str(x.get("relatedIdentifierValue"))
        for x in rows(row.get("relatedIdentifiers"), "relatedIdentifiers")
    }
    total = part(row, "totalAmount")
    state = _state(row, names, drift)
    deferral = _deferral(row)
    marketplace = part(row, "marketplaceDetails").get("marketplaceId") or part(row, "sellingPartnerMetadata").get(
        "marketplaceId"
    )
    site = BY_ID.get(str(marketplace))
    kind = str(row.get("transactionType") or "")
    yield TransactionRecord(
        # A released amount is the deferred one come free: one and the same money.
        external_id=names.get("DEFERRED_TRANSACTION_ID") or _id(row, names),
        state=state,
        order_ref=names.get("ORDER_ID"),
        order_line_ref=None,
        amount=reading.money(total.get("currencyAmount"), "totalAmount.currencyAmount"),
        currency=text(total, "currencyCode"),
        posted_at=reading.instant(row, "postedDate"),
        release_at=reading.maybe_instant(deferral, "maturityDate"),
        reason=str(deferral.get("deferralReason") or row.get("description") or kind)[:200],
        event=reading.word(kind.lower(), _EVENT, MoneyEvent.ACCOUNT, "transactions[].transactionType", []),
        settlement_ref=names.get("SETTLEMENT_ID"),
        site=site.code if site else None,
    )
    yield from drift


def _state(row: Row, names: dict[str, str], drift: list[Drift]) -> TransactionState:
    if "SETTLEMENT_ID" in names:
        return TransactionState.SETTLED
    status = str(row.get("transactionStatus") or "")
    return reading.word(status, _STATE, TransactionState.UNKNOWN, "transactions[].transactionStatus", drift)


def _deferral(row: Row) -> Row:
    """The context that says why and until when the money waits."""
    contexts = rows(row.get("contexts"), "contexts")
    return next((x for x in contexts if "maturityDate" in x or "deferralReason" in x), {})


def _id(row: Row, names: dict[str, str]) -> str:
    """Amazon's own id; where it gives none, one made of what the transaction is about."""
    stated = reading.maybe_text(row, "transactionId")
    if stated:
        return stated
    told = [
        str(row.get("transactionType")),
        str(row.get("postedDate")),
        *(f"{k}={v}" for k, v in sorted(names.items())),
    ]
    return "made-" + hashlib.sha256("|".join(told).encode()).hexdigest()[:32]
