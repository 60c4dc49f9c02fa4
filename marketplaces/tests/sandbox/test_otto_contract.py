"""Otto's answers hold against the shapes of its API descriptions, no field more (API_SPECS_DIR names the folder).

Orders, products and quantities are described as tables of models; shipments as OpenAPI.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from marketplaces.sandbox.server import Sandbox

from .conftest import Call, otto_of
from .test_otto_wire import LONG_AGO, shipment, waiting

PLAIN: dict[str, Any] = {
    "string": {"type": "string"},
    "date-time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
}


@pytest.fixture(scope="module")
def folder() -> Path:
    found = os.environ.get("API_SPECS_DIR")
    if not found:
        pytest.skip("API_SPECS_DIR does not name the folder with the public API descriptions")
    return Path(found) / "otto"


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Any]:
    """The table of models as JSON schemas that allow no field beyond those named."""
    table = json.loads((folder / "otto_schema_tables_2025-04.json").read_text(encoding="utf-8"))["models"]
    return {
        name: {
            "type": "object",
            "properties": {key: _typed(field["type"], table) for key, field in fields.items()},
            "required": [key for key, field in fields.items() if field["required"]],
            "additionalProperties": False,
        }
        for name, fields in table.items()
    }


def _typed(name: str, table: dict[str, Any]) -> dict[str, Any]:
    if name.endswith("[]"):
        return {"type": "array", "items": _typed(name.removesuffix("[]"), table)}
    # Names that are no model are lists of words, which the table does not hold.
    return PLAIN.get(name) or ({"$ref": f"#/$defs/{name}"} if name in table else PLAIN["string"])


def hold(models: dict[str, Any], name: str, data: Any) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": models}).validate(data)


def test_orders_hold_against_the_model(models: dict[str, Any], otto: Call) -> None:
    data = otto("/v4/orders", {"fromDate": LONG_AGO}).data
    assert len(data["resources"]) > 40
    hold(models, "PartnerOrderListOrdersV4", data)
    hold(models, "PartnerOrderOrdersV4", otto(f"/v4/orders/{data['resources'][0]['salesOrderId']}").data)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v5/products", "ProductVariationApiResultProductsV5SandboxOnly"),
        ("/v5/products/marketplace-status", "MarketPlaceStatusApiResultProductsV5SandboxOnly"),
        ("/v2/quantities", "AvailableQuantityResponseV2QuantitiesV2"),
    ],
)
def test_offers_hold_against_the_model(models: dict[str, Any], otto: Call, path: str, name: str) -> None:
    hold(models, name, otto(path).data)


def test_shipments_hold_against_the_description(folder: Path, models: dict[str, Any], busy: Sandbox) -> None:
    described = yaml.safe_load((folder / "shipments_v1_openapi.yml").read_text(encoding="utf-8"))
    ask = otto_of(busy)
    body = shipment(waiting(ask))
    schema = {"$ref": "#/components/schemas/CreateShipmentRequest", "components": described["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)
    hold(models, "CreateShipmentRequestShipmentsV1", body)
    made = ask("/v1/shipments", method="POST", body=body)
    hold(models, "CreateShipmentResponseShipmentsV1", made.data)
    hold(models, "ShipmentShipmentsV1", ask(f"/v1/shipments/{made.data['shipmentId']}").data)
    hold(models, "ShipmentListShipmentsV1", ask("/v1/shipments", {"datefrom": "2026-11-20"}).data)
    problem = ask("/v1/shipments", method="POST", body=body)
    assert problem.status == 409
    for error in problem.data["errors"]:
        hold(models, "ErrorDescriptionShipmentsV1", error)


def test_the_error_body_is_ottos(folder: Path, otto: Call) -> None:
    known = json.loads((folder / "samples/constructed/error.json").read_text(encoding="utf-8"))["errors"][0]
    for reply in (otto("/v4/orders/none"), otto("/v4/orders", {"limit": 500}), otto("/v1/shipments")):
        assert reply.status in (400, 404)
        assert {"path", "title", "code", "detail", "logref"} <= set(reply.data["errors"][0]) <= set(known)
