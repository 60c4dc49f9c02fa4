"""Amazon's transactions, version 2024-06-19: money deferred until a week after delivery, then released and settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..world.bunnings_money import stable_uuid
from ..world.model import Entry, Row
from ..world.places import SITES, Account
from .amazon_base import bad_request
from .http import Request, Response, cents_number, iso, json_response, parse_iso
from .paging import seal, unseal
from .state import State

_PAGE = 100
_MOST = timedelta(days=180)
_STATUSES = {"DEFERRED", "RELEASED", "DEFERRED_RELEASED"}
_SEARCHABLE = {"ORDER_ID", "FINANCIAL_EVENT_GROUP_ID"}
_GROUPS = {"ItemPrice": "Sales", "ItemWithheldTax": "Sales", "Promotion": "Sales", "ItemFees": "Expenses"}
_NAMES = {"Principal": "ProductCharges"}


@dataclass(frozen=True, slots=True)
class _Transaction:
    """One shipment or one refund of an order."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    def status(self, as_of: datetime) -> str:
        if self.first.event == "refund":
            return "RELEASED"
        return "DEFERRED" if as_of < self.first.at else "DEFERRED_RELEASED"

    def posted(self, as_of: datetime) -> datetime:
        """A release posts the money again: whoever asks by posting date hears of it."""
        return self.first.created_at if as_of < self.first.at else self.first.at

    @property
    def order_ref(self) -> str:
        return self.first.order.ref if self.first.order else ""


def list_transactions(state: State, account: Account, request: Request) -> Response:
    """listTransactions: by posting date or by order, oldest first."""
    question = _question(state, request)
    if isinstance(question, Response):
        return question
    as_of = datetime.fromisoformat(question["as_of"])
    found = state.kept(account.code, question, lambda: _matching(state, account, question, as_of))
    first = int(question["first"])
    page = found[first : first + _PAGE]
    ends = {s.ref: s.end for s in state.world.statements[account.code]}
    payload: dict[str, Any] = {"transactions": [_view(account, t, as_of, ends) for t in page]}
    if first + _PAGE < len(found):
        payload["nextToken"] = seal({**question, "first": first + _PAGE})
    return json_response({"payload": payload})


def _matching(state: State, account: Account, question: dict[str, Any], as_of: datetime) -> list[_Transaction]:
    found = [t for t in _transactions(state, account, as_of) if _matches(t, question, as_of)]
    return sorted(found, key=lambda t: (t.posted(as_of), t.first.ref))


def _question(state: State, request: Request) -> dict[str, Any] | Response:
    token = request.one("nextToken")
    if token:
        question = unseal(token)
        return question if question and "as_of" in question else bad_request("The nextToken is not valid.")
    latest = state.clock() - timedelta(minutes=2)
    try:
        after, before = parse_iso(request.one("postedAfter")), parse_iso(request.one("postedBefore"))
    except ValueError:
        return bad_request("A date is not in ISO 8601 format.")
    name, value = request.one("relatedIdentifierName"), request.one("relatedIdentifierValue")
    if after is None and not (name and value):
        return bad_request("postedAfter is required unless a related identifier is given.")
    if name and name not in _SEARCHABLE:
        return bad_request("relatedIdentifierName can only be ORDER_ID or FINANCIAL_EVENT_GROUP_ID.")
    if (after and after > latest) or (before and before > latest) or (after and before and before <= after):
        return bad_request("postedAfter must precede postedBefore, both more than two minutes before the request.")
    status = request.one("transactionStatus")
    if status and status not in _STATUSES:
        return bad_request("transactionStatus is not a known status.")
    return {
        "after": after.isoformat() if after else None,
        "before": (before or latest).isoformat(),
        "site": request.one("marketplaceId"),
        "status": status,
        "identifier": [name, value] if name else None,
        "as_of": state.clock().isoformat(),
        "first": 0,
    }


def _transactions(state: State, account: Account, as_of: datetime) -> Iterable[_Transaction]:
    groups: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in state.world.entries[account.code]:
        if entry.order and entry.line and entry.created_at <= as_of:
            part = entry.line.package if entry.event == "sale" else int(entry.line.ref)
            groups.setdefault((entry.event, entry.order.ref, part), []).append(entry)
    return (_Transaction(tuple(entries)) for entries in groups.values())


def _matches(transaction: _Transaction, question: dict[str, Any], as_of: datetime) -> bool:
    if question["identifier"] and question["identifier"] != ["ORDER_ID", transaction.order_ref]:
        return False
    if question["status"] and question["status"] != transaction.status(as_of):
        return False
    order = transaction.first.order
    if question["site"] and order and question["site"] != SITES[order.site].external_id:
        return False
    if question["after"] is None:
        return True
    after, before = datetime.fromisoformat(question["after"]), datetime.fromisoformat(question["before"])
    return before - after <= _MOST and after <= transaction.posted(as_of) < before


def _money(cents: int, account: Account) -> dict[str, Any]:
    return {"currencyCode": account.currency, "currencyAmount": cents_number(cents)}


def _view(account: Account, transaction: _Transaction, as_of: datetime, ends: dict[str, datetime]) -> dict[str, Any]:
    first = transaction.first
    if first.order is None or first.line is None:
        raise ValueError(f"entry {first.ref} belongs to no order")
    site = SITES[first.order.site]
    is_refund = first.event == "refund"
    view: dict[str, Any] = {
        "sellingPartnerMetadata": {
            "sellingPartnerId": account.external_id,
            "accountType": "Standard Orders",
            "marketplaceId": site.external_id,
        },
        "relatedIdentifiers": _identifiers(transaction, as_of, ends),
        "transactionType": "Refund" if is_refund else "Shipment",
        "transactionId": stable_uuid("transaction", first.ref),
        "transactionStatus": transaction.status(as_of),
        "description": "Refund Order" if is_refund else "Order Payment",
        "postedDate": iso(transaction.posted(as_of)),
        "totalAmount": _money(sum(e.total for e in transaction.entries), account),
        "marketplaceDetails": {"marketplaceId": site.external_id, "marketplaceName": site.name},
        "items": [_item(account, entry) for entry in transaction.entries],
        "breakdowns": _breakdowns(account, [row for entry in transaction.entries for row in entry.rows]),
        "contexts": [],
    }
    if transaction.status(as_of) == "DEFERRED":
        context = {"contextType": "DeferredContext", "deferralReason": "DD7", "maturityDate": iso(first.at)}
        view["contexts"].append(context)
    return view


def _identifiers(transaction: _Transaction, as_of: datetime, ends: dict[str, datetime]) -> list[dict[str, str]]:
    first = transaction.first
    pairs = [("ORDER_ID", transaction.order_ref)]
    if first.refund:
        pairs.append(("REFUND_ID", first.refund.ref))
    elif first.line:
        pairs.append(("SHIPMENT_ID", f"D{transaction.order_ref.replace('-', '')[3:]}{first.line.package}"))
    if first.statement and ends[first.statement] <= as_of:
        pairs.append(("SETTLEMENT_ID", first.statement))
    return [{"relatedIdentifierName": name, "relatedIdentifierValue": value} for name, value in pairs]


def _item(account: Account, entry: Entry) -> dict[str, Any]:
    if entry.line is None or entry.order is None:
        raise ValueError(f"entry {entry.ref} belongs to no order")
    product = entry.line.product
    item: dict[str, Any] = {
        "description": product.title,
        "totalAmount": _money(entry.total, account),
        "breakdowns": _breakdowns(account, entry.rows),
        "contexts": [
            {
                "contextType": "ProductContext",
                "asin": product.asin,
                "sku": product.sku,
                "quantityShipped": entry.refund.quantity if entry.refund else entry.line.quantity,
                "fulfillmentNetwork": "AFN" if entry.order.fulfilled_by == "AMAZON" else "MFN",
            }
        ],
    }
    if entry.refund:
        identifier = {
            "itemRelatedIdentifierName": "ORDER_ADJUSTMENT_ITEM_ID",
            "itemRelatedIdentifierValue": entry.refund.ref,
        }
        item["relatedIdentifiers"] = [identifier]
    return item


def _breakdowns(account: Account, rows: list[Row]) -> list[dict[str, Any]]:
    """Sales and expenses, each split by kind."""
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        _, amount_type, description = row.words
        kinds = sums.setdefault(_GROUPS.get(amount_type, "Expenses"), {})
        name = _NAMES.get(description, description) if amount_type == "ItemPrice" else description
        name = f"Promotion{name}" if amount_type == "Promotion" else name
        kinds[name] = kinds.get(name, 0) + row.cents
    return [
        {
            "breakdownType": group,
            "breakdownAmount": _money(sum(kinds.values()), account),
            "breakdowns": [
                {"breakdownType": name, "breakdownAmount": _money(cents, account), "breakdowns": []}
                for name, cents in kinds.items()
            ],
        }
        for group, kinds in sums.items()
    ]
