"""Every path of the sandbox and who answers it."""

from __future__ import annotations

from .wire import amazon_base, mirakl_base, otto_base, otto_orders, otto_products, otto_shipments
from .wire.amazon_finances import list_transactions
from .wire.amazon_notifications import (
    create_destination,
    create_subscription,
    delete_subscription,
    get_subscription,
    list_destinations,
)
from .wire.amazon_orders import get_order, search_orders
from .wire.amazon_reports import create_report, download, get_document, get_report, list_reports
from .wire.amazon_sellers import marketplace_participations
from .wire.amazon_shipments import confirm_shipment
from .wire.control import control_routes
from .wire.events_control import event_routes
from .wire.http import Request, Response, Route, route
from .wire.mirakl_money import list_billing_cycles, list_invoices, list_transaction_lines
from .wire.mirakl_orders import list_orders
from .wire.mirakl_shipments import set_tracking, ship_order
from .wire.mirakl_shop import list_offers, shop_information
from .wire.shipping import shipment_routes
from .wire.state import State
from .world.places import ACCOUNTS


def all_routes(state: State) -> list[Route]:
    """The control plane, the queues, both Amazon regions, Bunnings and Otto."""

    def token(request: Request) -> Response:
        return amazon_base.sign_in(state, request)

    def document(request: Request, account: str, document_id: str) -> Response:
        return download(state, ACCOUNTS, request, account, document_id)

    routes = [
        *control_routes(state),
        *shipment_routes(state),
        *event_routes(state),
        route("POST", "/amazon/auth/o2/token", token),
        route("GET", "/amazon/documents/{account}/{document_id}", document),
    ]
    for region in ("eu", "na"):
        routes += _amazon(state, region)
    return routes + _bunnings(state) + _otto(state)


def _amazon(state: State, region: str) -> list[Route]:
    base = f"/amazon/{region}"
    table: list[tuple[str, str, str, amazon_base.Answer]] = [
        ("GET", "/orders/2026-01-01/orders", "searchOrders", search_orders),
        ("GET", "/orders/2026-01-01/orders/{order_id}", "getOrder", get_order),
        ("POST", "/orders/v0/orders/{order_id}/shipmentConfirmation", "confirmShipment", confirm_shipment),
        ("GET", "/reports/2021-06-30/reports", "getReports", list_reports),
        ("POST", "/reports/2021-06-30/reports", "createReport", create_report),
        ("GET", "/reports/2021-06-30/reports/{report_id}", "getReport", get_report),
        ("GET", "/reports/2021-06-30/documents/{document_id}", "getReportDocument", get_document),
        ("GET", "/finances/2024-06-19/transactions", "listTransactions", list_transactions),
        ("GET", "/sellers/v1/marketplaceParticipations", "getMarketplaceParticipations", marketplace_participations),
        ("GET", "/notifications/v1/subscriptions/{kind}", "getSubscription", get_subscription),
        ("POST", "/notifications/v1/subscriptions/{kind}", "createSubscription", create_subscription),
    ]
    without_seller: list[tuple[str, str, str, amazon_base.Answer]] = [
        ("GET", "/notifications/v1/destinations", "getDestinations", list_destinations),
        ("POST", "/notifications/v1/destinations", "createDestination", create_destination),
        (
            "DELETE",
            "/notifications/v1/subscriptions/{kind}/{ref}",
            "deleteSubscriptionById",
            delete_subscription,
        ),
    ]
    return [
        route(method, base + path, guard(state, region, operation, answer))
        for guard, operations in ((amazon_base.guarded, table), (amazon_base.grantless, without_seller))
        for method, path, operation, answer in operations
    ]


def _bunnings(state: State) -> list[Route]:
    table: list[tuple[str, str, str, mirakl_base.Answer]] = [
        ("GET", "/api/orders", "OR11", list_orders),
        ("PUT", "/api/orders/{order_id}/tracking", "OR23", set_tracking),
        ("PUT", "/api/orders/{order_id}/ship", "OR24", ship_order),
        ("GET", "/api/offers", "OF21", list_offers),
        ("GET", "/api/sellerpayment/transactions_logs", "TL02", list_transaction_lines),
        ("GET", "/api/seller-billing-cycles", "SBC11", list_billing_cycles),
        ("GET", "/api/invoices", "IV01", list_invoices),
        ("GET", "/api/account", "A01", shop_information),
    ]
    return [
        route(method, f"/bunnings{path}", mirakl_base.guarded(state, operation, answer))
        for method, path, operation, answer in table
    ]


def _otto(state: State) -> list[Route]:
    table: list[tuple[str, str, str, otto_base.Answer]] = [
        ("GET", "/v4/orders", "orders", otto_orders.list_orders),
        ("GET", "/v4/orders/{ref}", "orders", otto_orders.get_order),
        ("GET", "/v5/products", "products", otto_products.list_products),
        ("GET", "/v5/products/marketplace-status", "products", otto_products.list_statuses),
        ("GET", "/v2/quantities", "quantities", otto_products.list_quantities),
        ("POST", "/v1/shipments", "shipments", otto_shipments.create_shipment),
        ("GET", "/v1/shipments", "shipments", otto_shipments.list_shipments),
        ("GET", "/v1/shipments/{ref}", "shipments", otto_shipments.get_shipment),
        (
            "GET",
            "/v1/shipments/carriers/{carrier}/trackingnumbers/{number}",
            "shipments",
            otto_shipments.find_shipment,
        ),
    ]

    def token(request: Request) -> Response:
        return otto_base.sign_in(state, request)

    routes = [route("POST", f"{otto_base.BASE}/v1/token", token)]
    for method, path, scope, answer in table:
        routes.append(route(method, otto_base.BASE + path, otto_base.guarded(state, scope, answer)))
    return routes
