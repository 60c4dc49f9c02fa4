"""What faults must know of Mirakl's answers, and those its paging by offset has."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from ..faults.shapes import Shape, Special
from .http import Handler, Request, Response, iso, json_response, parse_iso

_API = r"/(?:bunnings|decathlon)/api"


def _moved(by: int) -> Special:
    """The rows have moved by one since the page before: -1 a row was inserted, +1 one went away."""

    def page(request: Request, serve: Handler) -> Response | None:
        offset = int(request.one("offset") or 0)
        if offset < 1:
            return None
        asked = [(key, value) for key, value in request.query if key != "offset"]
        truth = serve(replace(request, query=(*asked, ("offset", str(offset + by)))))
        if truth.status >= 300:
            return None
        body = json.loads(truth.body)
        body["total_count"] -= by
        link = f"<http://127.0.0.1{request.path}?{urlencode(asked)}>"
        return replace(json_response(body), headers={**truth.headers, "Link": f'{link}; rel="next"'})

    return page


def _older_order(order: dict[str, Any]) -> dict[str, Any]:
    changed = parse_iso(order["last_updated_date"])
    order["last_updated_date"] = iso(changed - timedelta(hours=30)) if changed else order["last_updated_date"]
    order["order_state"] = "SHIPPING"
    for line in order["order_lines"]:
        line |= {"order_line_state": "SHIPPING", "shipped_date": None, "received_date": None, "refunds": []}
    return order


def _older_line(line: dict[str, Any]) -> dict[str, Any]:
    if line["payment_state"] in ("PAYABLE", "PAID"):
        line["payment_state"] = "PENDING"
        line.pop("seller_billing_cycle_id", None)
    return line


_BY_OFFSET = {"row_inserted": _moved(-1), "row_removed": _moved(1)}
_NEXT, _TOKEN = ("next_page_token",), "page_token"

SHAPES = (
    Shape(
        path=_API + "/orders",
        rows=("orders",),
        required=(
            "order_id", "last_updated_date", "created_date", "currency_iso_code", "order_lines[].quantity",
            "order_lines[].order_line_id", "order_lines[].price", "order_lines[].order_line_state",
        ),
        optional=("customer", "shipping_deadline", "commercial_id", "order_lines[].product_title"),
        words=("order_lines[].order_line_state",),
        older=_older_order,
        specials=_BY_OFFSET,
    ),
    Shape(
        path=_API + "/offers",
        rows=("offers",),
        required=("offer_id", "active", "currency_iso_code"),
        optional=("product_title", "quantity", "product_references"),
        specials=_BY_OFFSET,
    ),
    Shape(
        path=_API + "/sellerpayment/transactions_logs",
        rows=("data",),
        required=("id", "type", "date_created", "currency_iso_code"),
        optional=("accounting_document_number", "pay_out_psp_code"),
        words=("payment_state",),
        next_token=_NEXT,
        token=_TOKEN,
        older=_older_line,
    ),
    Shape(
        path=_API + "/seller-billing-cycles",
        rows=("data",),
        required=("id", "date_created", "currency_iso_code", "amount_transferred_to_seller"),
        optional=("shop", "payment_voucher_number"),
        words=("pay_out.state",),
        next_token=_NEXT,
        token=_TOKEN,
    ),
)  # fmt: skip
