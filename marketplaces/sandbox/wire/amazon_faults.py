"""What faults must know of Amazon's answers, and those only Amazon has."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..faults.shapes import Shape, Special
from .amazon_base import error
from .http import Handler, Request, Response, iso, json_response, parse_iso

_API = r"/amazon/(?:eu|na)"


def _expired_token(request: Request, serve: Handler) -> Response | None:
    if "x-amz-access-token" not in request.headers:
        return None
    told = "The access token you provided has expired."
    return error(403, "Unauthorized", "Access to requested resource is denied.", told)


def _link_expired(request: Request, serve: Handler) -> Response | None:
    xml = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
    return Response(status=403, headers={"Content-Type": "application/xml"}, body=xml)


def _report(status: str) -> Special:
    """A report somebody asked for stands elsewhere than it does."""

    def stand(request: Request, serve: Handler) -> Response | None:
        truth = serve(request)
        body = json.loads(truth.body)
        if truth.status >= 300 or "SETTLEMENT" in body.get("reportType", ""):
            return None
        body |= {"processingStatus": status}
        body.pop("reportDocumentId", None)
        return replace(json_response(body), headers=truth.headers)

    return stand


def _older_order(order: dict[str, Any]) -> dict[str, Any]:
    changed = parse_iso(order["lastUpdatedTime"])
    order["lastUpdatedTime"] = iso(changed - timedelta(hours=30)) if changed else order["lastUpdatedTime"]
    if "fulfillment" in order:
        order["fulfillment"]["fulfillmentStatus"] = "UNSHIPPED"
    for item in order["orderItems"]:
        item["fulfillment"] = {"quantityFulfilled": 0, "quantityUnfulfilled": item["quantityOrdered"]}
    order.pop("packages", None)
    return order


def _older_transaction(transaction: dict[str, Any]) -> dict[str, Any]:
    named = {pair["relatedIdentifierName"] for pair in transaction["relatedIdentifiers"]}
    if "SETTLEMENT_ID" not in named:
        transaction["transactionStatus"] = "DEFERRED"
    return transaction


SHAPES = (
    Shape(
        path=_API + r"/orders/2026-01-01/orders",
        rows=("orders",),
        required=(
            "orderId", "lastUpdatedTime", "createdTime", "salesChannel.marketplaceId", "orderItems[].quantityOrdered",
            "orderItems[].orderItemId",
        ),
        optional=("buyer", "recipient", "orderItems[].product.title", "packages", "programs"),
        words=("fulfillment.fulfillmentStatus", "fulfillment.fulfilledBy"),
        next_token=("pagination", "nextToken"),
        token="paginationToken",  # noqa: S106  # the name of a parameter
        older=_older_order,
        specials={"expired_token": _expired_token},
    ),
    Shape(
        path=_API + r"/finances/2024-06-19/transactions",
        rows=("payload", "transactions"),
        required=("postedDate", "totalAmount.currencyAmount", "totalAmount.currencyCode"),
        optional=("description", "marketplaceDetails", "items"),
        words=("transactionStatus", "transactionType"),
        next_token=("payload", "nextToken"),
        token="nextToken",  # noqa: S106  # the name of a parameter
        older=_older_transaction,
        specials={"expired_token": _expired_token},
    ),
    Shape(
        path=_API + r"/reports/2021-06-30/reports",
        rows=("reports",),
        required=("reportId",),
        optional=("processingEndTime", "marketplaceIds"),
        next_token=("nextToken",),
        token="nextToken",  # noqa: S106  # the name of a parameter
        specials={"expired_token": _expired_token},
    ),
    Shape(
        path=_API + r"/reports/2021-06-30/reports/[^/]+",
        specials={
            "expired_token": _expired_token,
            "report_queued": _report("IN_QUEUE"),
            "report_failed": _report("FATAL"),
            "report_canceled": _report("CANCELLED"),
        },
    ),
    Shape(path=_API + r"/.*", specials={"expired_token": _expired_token}),
    Shape(path=r"/amazon/documents/.*", specials={"link_expired": _link_expired}),
)  # fmt: skip
