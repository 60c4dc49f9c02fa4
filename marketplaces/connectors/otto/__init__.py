"""Otto Market, Germany: orders, offers and shipments by API, statements by file. Quirks and limits: README.md."""

from __future__ import annotations

from datetime import timedelta

from marketplaces.connectors.otto import client, offers, orders
from marketplaces.connectors.otto.shipments import SHIPMENTS
from marketplaces.connectors.otto.statement_file import parse_settlement
from marketplaces.port import Connector, Flow, SiteSpec
from marketplaces.records import OfferRecord, OrderRecord

SITE = SiteSpec(
    code="otto.de",
    label="Otto.de",
    country="DE",
    currency="EUR",
    zone="Europe/Berlin",
    external_id="OTTO",
    hosts={"api": "https://api.otto.market"},
    sandbox_paths={"api": "/otto"},
)

otto = Connector(
    name="otto",
    label="Otto",
    package=__name__,
    sites=(SITE,),
    credential_fields=client.CREDENTIALS,
    limits=client.LIMITS,
    open=client.OttoSession,
    check=client.check,
    orders=Flow(
        fetch=orders.fetch,
        fetch_one=orders.fetch_one,
        translate=orders.translate,
        record=OrderRecord,
        cadence="2-59/10 * * * *",
        freshness=timedelta(minutes=45),
        # Changes cannot be asked for an end: many short windows would each read up to now.
        window=timedelta(days=365),
        history=timedelta(days=365),
        pii_paths=orders.PII_PATHS,
    ),
    offers=Flow(
        fetch=offers.fetch,
        translate=offers.translate,
        record=OfferRecord,
        cadence="35 */6 * * *",
        freshness=timedelta(hours=12),
        snapshot=True,
    ),
    shipments=SHIPMENTS,
    parse_settlement=parse_settlement,
    rights={"orders": "scope orders", "offers": "scopes products and quantities", "shipments": "scope shipments"},
)
