"""Amazon: seller accounts in Europe, North America and the Far East. Sign-in, limits and quirks: README.md."""

from __future__ import annotations

from datetime import timedelta

from marketplaces.connectors.amazon import (
    client,
    notifications,
    offers,
    orders,
    reports,
    settlements,
    shipments,
    subscriptions,
    transactions,
)
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.connectors.amazon.sites import SITES
from marketplaces.events import Events
from marketplaces.port import Connector, Flow, Reports
from marketplaces.records import OfferRecord, OrderRecord, SettlementRecord, TransactionRecord

amazon = Connector(
    name="amazon",
    label="Amazon",
    package=__name__,
    sites=SITES,
    credential_fields=client.CREDENTIALS,
    limits=client.LIMITS,
    open=client.AmazonSession,
    check=client.check,
    orders=Flow(
        fetch=orders.fetch,
        fetch_one=orders.fetch_one,
        translate=orders.translate,
        record=OrderRecord,
        cadence="*/10 * * * *",
        freshness=timedelta(minutes=45),
        window=timedelta(days=7),
        overlap=timedelta(minutes=30),
        lag=timedelta(minutes=3),
        history=timedelta(days=720),
        pii_paths=orders.PII_PATHS,
    ),
    offers=Flow(
        reports=Reports(request=offers.request, poll=offers.poll, download=offers.download),
        translate=offers.translate,
        record=OfferRecord,
        cadence="15 */6 * * *",
        freshness=timedelta(hours=12),
        snapshot=True,
    ),
    settlements=Flow(
        reports=Reports(discover=settlements.discover, poll=reports.poll, download=reports.download),
        translate=settlements.translate,
        record=SettlementRecord,
        cadence="40 */4 * * *",
        freshness=timedelta(days=1),
        window=timedelta(days=90),
        overlap=timedelta(days=3),
        history=timedelta(days=89),
    ),
    transactions=Flow(
        fetch=transactions.fetch,
        translate=transactions.translate,
        record=TransactionRecord,
        cadence="20 */2 * * *",
        freshness=timedelta(hours=6),
        window=timedelta(days=60),
        # A deferred amount changes its state weeks after it was posted, and is found by its posting day only.
        overlap=timedelta(days=30),
        lag=timedelta(minutes=3),
        history=timedelta(days=540),
    ),
    shipments=shipments.SHIPMENTS,
    events=Events(
        read=notifications.read,
        queues=notifications.QUEUES,
        seller=notifications.seller,
        asking=subscriptions.ASKING,
    ),
    parse_settlement=parse_settlement,
    rights={
        "orders": "role “Inventory and Order Tracking”",
        "offers": "role “Product Listing”",
        "settlements": "role “Finance and Accounting”",
        "transactions": "role “Finance and Accounting”",
        "shipments": "role “Inventory and Order Tracking”",
    },
)
