"""Bunnings' shop (Mirakl): its offers with price, stock and state (OF21), and the shop itself (A01)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..world.model import Product
from ..world.places import Account
from .http import Request, Response, cents_number, iso, json_response
from .listings_file import is_active, stock
from .mirakl_base import offset_page
from .mirakl_orders import CATEGORY_LABELS
from .state import State

_SITE = "bunnings.com.au"


def list_offers(state: State, account: Account, request: Request) -> Response:
    """OF21: every offer of the shop, or the one with a `sku`."""
    sku = request.one("sku")
    found = [p for p in state.world.products if _SITE in p.prices and sku in (None, p.sku)]
    return offset_page(state, request, "offers", found, lambda product: _offer(state, product))


def _offer(state: State, product: Product) -> dict[str, Any]:
    price = cents_number(product.prices[_SITE])
    is_on = is_active(product, _SITE)
    prices = {
        "price": price,
        "unit_origin_price": price,
        "unit_discount_price": price,
        "volume_prices": [
            {"price": price, "quantity_threshold": 1, "unit_discount_price": price, "unit_origin_price": price}
        ],
    }
    return {
        "active": is_on,
        "all_prices": [{**prices, "channel_code": None}],
        "applicable_pricing": {**prices, "channel_code": None},
        "category_code": product.category,
        "category_label": CATEGORY_LABELS[product.category],
        "channels": [],
        "currency_iso_code": "AUD",
        "description": product.title,
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "inactivity_reasons": [] if is_on else ["ZERO_QUANTITY"],
        "leadtime_to_ship": 2,
        "logistic_class": {"code": "STD", "label": "Standard"},
        "max_order_quantity": 999,
        "min_order_quantity": 1,
        "min_quantity_alert": 0,
        "min_shipping_price": 9.9,
        "min_shipping_price_additional": 0,
        "min_shipping_type": "STD",
        "min_shipping_zone": "AU",
        "offer_additional_fields": [],
        "offer_id": product.offer_id,
        "package_quantity": 1,
        "price": price,
        "price_additional_info": None,
        "product_brand": product.brand,
        "product_references": [{"reference": product.ean, "reference_type": "EAN"}],
        "product_sku": f"I{product.offer_id}",
        "product_title": product.title,
        "quantity": stock(product, _SITE, state.clock()) if is_on else 0,
        "shipping_deadline": iso(state.clock() + timedelta(days=2)),
        "shop_sku": product.sku,
        "state_code": "11",
        "total_price": cents_number(product.prices[_SITE] + 990),
    }


def shop_information(state: State, account: Account, request: Request) -> Response:
    """A01: who the shop is; the answer to *test connection*."""
    world = state.world
    street = {"street1": "Am Speicher XI 7", "street2": None, "zip_code": "28217", "city": "Bremen"}
    return json_response(
        {
            "shop_id": int(account.external_id),
            "shop_name": "Dom Ventas",
            "shop_state": "OPEN",
            "currency_iso_code": account.currency,
            "date_created": iso(world.now - timedelta(days=700)),
            "last_updated_date": iso(world.now - timedelta(days=9)),
            "description": "Home, kitchen, sports and tools",
            "channels": [],
            "domains": ["PRODUCT"],
            "is_professional": True,
            "premium": False,
            "free_shipping": False,
            "model": "MARKETPLACE",
            "evaluations_count": 0,
            "offers_count": sum(_SITE in product.prices for product in world.products),
            "orders_count": sum(order.created_at <= state.clock() for order in world.orders[account.code]),
            "contact_informations": {
                "civility": "Mr",
                "firstname": "Mika",
                "lastname": "Sample",
                "email": "shop@domventas.example",
                "country": "DEU",
                "state": None,
                **street,
            },
            "billing_info": {"owner": "Dom Ventas GmbH", "bank_name": "Sample Bank", "bic": "XXXXDEXX"},
            "payment_info": {"@type": "IBAN", "owner": "Dom Ventas GmbH"},
            "payment_details": {"paid_balance": 0, "payable_balance": 0, "pending_balance": 0},
            "payment_method_mandatory": False,
            "default_billing_information": {
                "id": "1",
                "default_language": "en",
                "registration_address": {"city": "Bremen", "country_iso_code": "DEU", "street_1": street["street1"]},
            },
            "pro_details": {"corporate_name": "Dom Ventas GmbH", "VAT_number": "DE000000000"},
            "shipping": {"lead_time_to_ship": 2},
            "shipping_country": "DEU",
            "shipping_types": ["STD"],
            "shipping_zones": ["AU"],
            "shippings": [],
            "shop_additional_fields": [],
        }
    )
