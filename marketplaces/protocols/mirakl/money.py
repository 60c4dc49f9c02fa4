"""Mirakl's money: the transaction log (TL02) holds the lines, billing cycles (SBC11) the totals and transfers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.mirakl.client import MiraklSession
from marketplaces.protocols.mirakl.operator import Operator
from marketplaces.protocols.reading import Row, part, text
from marketplaces.records import (
    Drift,
    MoneyEvent,
    PayoutRecord,
    SettlementLineRecord,
    SettlementRecord,
    TransactionRecord,
    TransactionState,
)

_STATE = {
    "PENDING": TransactionState.DEFERRED,
    "RESERVE": TransactionState.DEFERRED,
    "PAYABLE": TransactionState.RELEASED,
    "PAID": TransactionState.SETTLED,
    "NOT_APPLICABLE": TransactionState.RELEASED,
}
_PAYOUT = {"TO_PAY": "pending", "PAID": "paid", "FAILED": "failed"}


def fetch_log(session: MiraklSession, window: Window, token: str) -> RawPage:
    """One page of log lines changed since the window's begin; the log knows no end to ask for."""
    params = {"last_updated_from": reading.iso(window.since)}
    return session.seek_page("/api/sellerpayment/transactions_logs", params, token, 2000, operation="TL02")


def fetch_cycles(session: MiraklSession, window: Window, token: str) -> RawPage:
    """One page of billing cycles created in the window."""
    params = {"start_date": reading.iso(window.since), "end_date": reading.iso(window.until)}
    return session.seek_page("/api/seller-billing-cycles", params, token, 1000, operation="SBC11")


def _data(page: RawPage) -> list[Any]:
    body = strict_json(page.body)
    if not isinstance(body, dict) or "data" not in body:
        raise Malformed("The answer holds no data.", path="data")
    return reading.listed(body["data"], "data")


def translate_log(page: RawPage, operator: Operator) -> Iterator[Translated]:
    """Log lines of one page; each one is a line of its billing cycle's settlement."""
    data = _data(page)
    places = (place for place, row in enumerate(data, 1) if isinstance(row, dict))
    return reading.each(data, "data", "id", lambda row: _transaction(row, operator, next(places)))


def _transaction(row: Row, operator: Operator, ordinal: int) -> Iterator[Translated]:
    drift: list[Drift] = []
    kind, entities = text(row, "type"), part(row, "entities")
    amount, posted_at = _amount(row), reading.instant(row, "date_created")
    cycle = reading.maybe_text(row, "seller_billing_cycle_id")
    raw_state = str(row.get("payment_state") or "")
    state = reading.word(raw_state, _STATE, TransactionState.UNKNOWN, "data[].payment_state", drift)
    order = reading.maybe_text(part(entities, "order"), "id")
    order_line = reading.maybe_text(part(entities, "order_line"), "id")
    line = SettlementLineRecord(
        raw_type=kind.casefold(),
        amount=amount,
        currency=text(row, "currency_iso_code"),
        posted_at=posted_at,
        ordinal=ordinal,
        line_ref=text(row, "id"),
        order_ref=order,
        order_line_ref=order_line,
        refund_ref=reading.maybe_text(part(entities, "refund"), "id"),
        site=operator.site.code,
        description=_description(entities),
        paid_out=state is TransactionState.SETTLED,
    )
    yield TransactionRecord(
        external_id=text(row, "id"),
        state=state,
        order_ref=order,
        order_line_ref=order_line,
        amount=amount,
        currency=line.currency,
        posted_at=posted_at,
        release_at=None,
        reason=raw_state,
        event=_event(kind, order),
        settlement_ref=cycle,
        site=operator.site.code,
        line=line,
    )
    yield from drift


def _amount(row: Row) -> Decimal:
    """Credited less debited, whose signs all operators write alike; the one amount where they are not given."""
    credited, debited = reading.maybe_money(row, "amount_credited"), reading.maybe_money(row, "amount_debited")
    if credited is None or debited is None:
        return reading.money(row.get("amount"), "amount")
    return abs(credited) - abs(debited)


def _event(kind: str, order: str | None) -> MoneyEvent:
    if "REFUND" in kind:
        return MoneyEvent.REFUND
    return MoneyEvent.SALE if order else MoneyEvent.ACCOUNT


def _description(entities: Row) -> str:
    one_off, document = part(entities, "one_off_item"), part(entities, "manual_accounting_document")
    fee = reading.maybe_text(part(entities, "fee"), "code")
    told = [reading.maybe_text(one_off, "description"), reading.maybe_text(document, "number"), fee]
    return " ".join(x for x in told if x)[:300]


def translate_cycles(page: RawPage, operator: Operator) -> Iterator[Translated]:
    """Billing cycles of one page as settlements without lines of their own."""
    return reading.each(_data(page), "data", "id", lambda row: _settlement(row, operator))


def _settlement(row: Row, operator: Operator) -> Iterator[Translated]:
    created = reading.instant(row, "date_created")
    yield SettlementRecord(
        settlement_ref=text(row, "id"),
        currency=text(row, "currency_iso_code"),
        period_start=None,
        period_end=created,
        paid_on=_paid_on(part(row, "pay_out"), operator),
        total=reading.money(row.get("amount_transferred_to_seller"), "amount_transferred_to_seller"),
        lines=None,
    )


def _paid_on(pay_out: Row, operator: Operator) -> date | None:
    """The day of the transfer where the shops' banks are."""
    moment = reading.maybe_instant(pay_out, "transaction_date")
    return moment.astimezone(ZoneInfo(operator.site.zone)).date() if moment else None


def translate_payouts(page: RawPage, operator: Operator) -> Iterator[Translated]:
    """The transfer of each billing cycle of one page."""
    return reading.each(_data(page), "data", "id", lambda row: _payout(row, operator))


def _payout(row: Row, operator: Operator) -> Iterator[Translated]:
    cycle, pay_out = text(row, "id"), part(row, "pay_out")
    if not pay_out:
        return
    drift: list[Drift] = []
    yield PayoutRecord(
        external_id=cycle,
        settlement_ref=cycle,
        amount=reading.money(row.get("amount_transferred_to_seller"), "amount_transferred_to_seller"),
        currency=text(row, "currency_iso_code"),
        state=reading.word(text(pay_out, "state"), _PAYOUT, "pending", "data[].pay_out.state", drift),
        paid_on=_paid_on(pay_out, operator),
        reference=reading.maybe_text(pay_out, "reference") or "",
        failure=reading.maybe_text(pay_out, "failure_reason") or "",
    )
    yield from drift
