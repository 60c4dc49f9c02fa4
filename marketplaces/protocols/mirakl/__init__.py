"""The Mirakl seller protocol, spoken by many operators; an operator's folder says which one and makes a connector."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from marketplaces.port import Connector, Flow
from marketplaces.protocols.mirakl import client, money, offers, orders, shipments
from marketplaces.protocols.mirakl.operator import Operator
from marketplaces.protocols.signed_hints import SIGNED_HINTS
from marketplaces.records import OfferRecord, OrderRecord, PayoutRecord, SettlementRecord, TransactionRecord

__all__ = ["Operator", "mirakl_connector"]


def mirakl_connector(*, name: str, label: str, package: str, operator: Operator) -> Connector:
    """The connector of one operator; `package` is the folder with its reference data."""
    cycles = Flow(
        fetch=money.fetch_cycles,
        translate=partial(money.translate_cycles, operator=operator),
        record=SettlementRecord,
        cadence="35 5 * * *",
        freshness=timedelta(days=2),
        # Asked once a day at most: one window, its pages, nothing else.
        window=timedelta(days=365),
        # A cycle is found by the day it was made; its transfer is known days later, or weeks, when it failed first.
        overlap=timedelta(days=90),
        history=timedelta(days=365),
    )
    return Connector(
        name=name,
        label=label,
        package=package,
        sites=(operator.site,),
        credential_fields=client.CREDENTIALS,
        limits=client.LIMITS,
        open=client.MiraklSession,
        check=client.check,
        orders=Flow(
            fetch=orders.fetch,
            fetch_one=orders.fetch_one,
            fetch_some=orders.fetch_some,
            at_once=client.PAGE,
            translate=partial(orders.translate, operator=operator),
            record=OrderRecord,
            cadence="5-59/15 * * * *",
            freshness=timedelta(hours=1),
            window=timedelta(days=30),
            history=timedelta(days=365),
            pii_paths=orders.PII_PATHS,
        ),
        offers=Flow(
            fetch=offers.fetch,
            translate=partial(offers.translate, operator=operator),
            record=OfferRecord,
            cadence="25 */6 * * *",
            freshness=timedelta(hours=12),
            snapshot=True,
        ),
        settlements=cycles,
        transactions=Flow(
            fetch=money.fetch_log,
            translate=partial(money.translate_log, operator=operator),
            record=TransactionRecord,
            cadence="50 * * * *",
            freshness=timedelta(hours=4),
            # The log cannot be asked for an end: many short windows would each read up to now.
            window=timedelta(days=365),
            overlap=timedelta(hours=2),
            history=timedelta(days=365),
        ),
        shipments=shipments.SHIPMENTS,
        events=SIGNED_HINTS,
        payouts=replace(cycles, translate=partial(money.translate_payouts, operator=operator), record=PayoutRecord),
    )
