"""Bunnings' money (Mirakl): transaction lines TL02, billing cycles SBC11 and their invoices IV01."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from ..world.bunnings_money import stable_uuid
from ..world.model import Entry, Row, Statement
from ..world.places import Account
from .http import Request, Response, cents_number, iso, parse_iso
from .mirakl_base import offset_page, seek_page, seek_question
from .state import State

_MOST_LINES, _MOST_CYCLES = 2000, 1000
_TL_FILTERS = (
    "seller_billing_cycle_id",
    "date_created_from",
    "date_created_to",
    "last_updated_from",
    "payment_state",
    "transaction_type",
    "order_id",
    "order_line_id",
    "sort",
    "order",
)
_CYCLE_FILTERS = ("start_date", "end_date", "id", "currency", "pay_out_state")
_FEE_WORDS = ("COMMISSION", "SUBSCRIPTION")


@dataclass(frozen=True, slots=True)
class _Line:
    """One transaction line with its life: pending, payable, in a cycle, paid."""

    entry: Entry
    row: Row
    number: int
    cycle: Statement | None

    def moments(self) -> tuple[datetime, ...]:
        """When it changed or will change."""
        if self.cycle is None:
            return self.entry.created_at, self.entry.at
        return self.entry.created_at, self.entry.at, self.cycle.issued_at, self.cycle.paid_at

    def updated_at(self, as_of: datetime) -> datetime:
        return max(moment for moment in self.moments() if moment <= as_of)

    def state(self, as_of: datetime) -> str:
        if as_of < self.entry.at:
            return "PENDING"
        return "PAID" if self.cycle and as_of >= self.cycle.paid_at else "PAYABLE"

    def cycle_ref(self, as_of: datetime) -> str | None:
        return self.cycle.ref if self.cycle and as_of >= self.cycle.issued_at else None


def _lines(state: State, account: Account, as_of: datetime) -> Iterator[_Line]:
    """All lines known by then. The lines of a withheld cycle never learn that they belong to it."""
    cycles = {s.ref: s for s in state.world.statements[account.code] if not s.is_withheld}
    entries = list(state.world.entries[account.code])
    for statement in state.world.statements[account.code]:
        entries += [e for e in statement.entries if e.event == "account"]
        if not statement.is_withheld and statement.total:
            entries.append(_payment(statement))
    for entry in entries:
        if entry.created_at <= as_of:
            for number, row in enumerate(entry.rows):
                yield _Line(entry, row, number, cycles.get(entry.statement))


def _payment(statement: Statement) -> Entry:
    """The transfer that empties the cycle, for the amount the cycle states."""
    return Entry(
        ref=f"P{statement.ref}",
        event="account",
        created_at=statement.paid_at,
        at=statement.paid_at,
        rows=[Row(("PAYMENT",), -statement.total)],
        statement=statement.ref,
    )


def list_transaction_lines(state: State, account: Account, request: Request) -> Response:
    """TL02: newest first unless asked otherwise."""
    question = seek_question(state, request, _TL_FILTERS, _MOST_LINES)
    as_of = datetime.fromisoformat(question["as_of"])
    found = state.kept(account.code, question, lambda: _matching(state, account, question["filters"], as_of))
    return seek_page(question, found, lambda line: _line_view(line, as_of))


def _matching(state: State, account: Account, filters: dict[str, list[str]], as_of: datetime) -> list[_Line]:
    """Lines of a question in the order it asks for."""
    found = [line for line in _lines(state, account, as_of) if _wanted(line, filters, as_of)]
    by_update = filters["sort"][:1] == ["lastUpdated"]
    is_ascending = "asc" in (word.lower() for word in [*filters["order"], *filters["sort"][1:]])
    found.sort(
        key=lambda line: (
            line.updated_at(as_of) if by_update else line.entry.created_at,
            line.entry.ref,
            line.number,
        ),
        reverse=not is_ascending,
    )
    return found


def _wanted(line: _Line, filters: dict[str, list[str]], as_of: datetime) -> bool:
    order, order_line = line.entry.order, line.entry.line
    offered = {
        "seller_billing_cycle_id": line.cycle_ref(as_of),
        "payment_state": line.state(as_of),
        "transaction_type": line.row.words[0],
        "order_id": order.ref if order else None,
        "order_line_id": order_line.ref if order_line else None,
    }
    if any(filters[name] and value not in filters[name] for name, value in offered.items()):
        return False
    created, updated = line.entry.created_at, line.updated_at(as_of)
    return (
        _from(filters["date_created_from"], created)
        and _from(filters["last_updated_from"], updated)
        and not (filters["date_created_to"] and not _from(filters["date_created_to"], created, before=True))
    )


def _from(values: list[str], moment: datetime, *, before: bool = False) -> bool:
    limit = parse_iso(values[0]) if values else None
    return limit is None or (moment <= limit if before else moment >= limit)


def _line_view(line: _Line, as_of: datetime) -> dict[str, Any]:
    cents = line.row.cents
    view: dict[str, Any] = {
        "id": stable_uuid("line", line.entry.ref, line.number),
        "type": line.row.words[0],
        "amount": cents_number(cents),
        "amount_credited": cents_number(max(cents, 0)),
        "amount_debited": cents_number(max(-cents, 0)),
        "currency_iso_code": "AUD",
        "date_created": iso(line.entry.created_at),
        "last_updated": iso(line.updated_at(as_of)),
        "payment_state": line.state(as_of),
        "pay_out_psp_code": "NOT_SPECIFIED",
        "entities": _entities(line.entry),
    }
    cycle = line.cycle_ref(as_of)
    if cycle:
        view["seller_billing_cycle_id"] = cycle
        view["accounting_document_number"] = _document_number(cycle)
    return view


def _entities(entry: Entry) -> dict[str, Any]:
    entities: dict[str, Any] = {"domain": "PRODUCT"}
    if entry.order and entry.line:
        entities["order"] = {
            "id": entry.order.ref,
            "commercial_id": entry.order.ref.removesuffix("-A"),
            "creation_date": iso(entry.order.created_at),
        }
        entities["order_line"] = {"id": entry.line.ref}
    if entry.refund:
        entities["refund"] = {"id": entry.refund.ref}
    return entities


def _document_number(cycle: str) -> str:
    return f"{crc32(cycle.encode()):012d}"


def list_billing_cycles(state: State, account: Account, request: Request) -> Response:
    """SBC11: oldest first."""
    question = seek_question(state, request, _CYCLE_FILTERS, _MOST_CYCLES)
    as_of = datetime.fromisoformat(question["as_of"])
    filters = question["filters"]
    found = []
    for cycle in state.world.statements[account.code]:
        view_state = "PAID" if as_of >= cycle.paid_at else "TO_PAY"
        if (
            cycle.issued_at <= as_of
            and _from(filters["start_date"], cycle.issued_at)
            and _from(filters["end_date"], cycle.issued_at, before=True)
            and (not filters["id"] or cycle.ref in filters["id"])
            and (not filters["currency"] or cycle.currency in filters["currency"])
            and (not filters["pay_out_state"] or view_state in filters["pay_out_state"])
        ):
            found.append(cycle)
    return seek_page(question, found, lambda cycle: _cycle_view(account, cycle, as_of))


def _cycle_view(account: Account, cycle: Statement, as_of: datetime) -> dict[str, Any]:
    pay_out: dict[str, Any] = {"state": "TO_PAY"}
    if as_of >= cycle.paid_at:
        pay_out = {"state": "PAID", "reference": f"BNK{cycle.ref[:8].upper()}", "transaction_date": iso(cycle.paid_at)}
    return {
        "id": cycle.ref,
        "date_created": iso(cycle.issued_at),
        "currency_iso_code": cycle.currency,
        "amount_transferred_to_operator": cents_number(-sum(_sums(cycle, word)[1] for word in _FEE_WORDS)),
        "amount_transferred_to_seller": cents_number(cycle.total),
        "pay_out": pay_out,
        "pay_out_psp_code": "NOT_SPECIFIED",
        "payment_voucher_number": _document_number(cycle.ref)[-6:],
        "shop": {
            "shop_id": int(account.external_id),
            "shop_name": "Dom Ventas",
            "shop_corporate_name": "Dom Ventas GmbH",
        },
        "summary": _cycle_summary(cycle),
    }


def _sums(cycle: Statement, prefix: str) -> tuple[int, int]:
    """Cents without and with tax of all rows whose type starts so; tax rows end in VAT."""
    rows = [row for entry in cycle.entries for row in entry.rows if row.words[0].startswith(prefix)]
    return sum(r.cents for r in rows if not r.words[0].endswith("VAT")), sum(r.cents for r in rows)


def _cycle_summary(cycle: Statement) -> dict[str, float]:
    names = {
        "total_payable_orders": "ORDER_",
        "total_commissions": "COMMISSION",
        "total_refund_payable_orders": "REFUND_ORDER",
        "total_refund_orders": "REFUND_ORDER",
        "total_refund_commissions": "REFUND_COMMISSION",
        "total_subscription": "SUBSCRIPTION",
    }
    summary: dict[str, float] = {}
    for name, prefix in names.items():
        without_tax, with_tax = _sums(cycle, prefix)
        summary[f"{name}_excl_tax"] = cents_number(without_tax)
        summary[f"{name}_incl_tax"] = cents_number(with_tax)
    return summary


def list_invoices(state: State, account: Account, request: Request) -> Response:
    """IV01: one automatic invoice for the fees of each cycle, oldest first."""
    as_of = state.clock()
    since, until = parse_iso(request.one("start_date")), parse_iso(request.one("end_date"))
    wanted = request.many("seller_billing_cycle_id")
    kind = request.one("type") or "AUTO_INVOICE"
    found = [
        cycle
        for cycle in state.world.statements[account.code]
        if cycle.issued_at <= as_of
        and kind in ("ALL", "AUTO_INVOICE")
        and (since is None or cycle.issued_at >= since)
        and (until is None or cycle.issued_at <= until)
        and (not wanted or cycle.ref in wanted)
    ]
    return offset_page(state, request, "invoices", found, lambda cycle: _invoice(account, cycle, as_of))


def _invoice(account: Account, cycle: Statement, as_of: datetime) -> dict[str, Any]:
    words = (*_FEE_WORDS, "REFUND_COMMISSION")
    without_tax = -sum(_sums(cycle, word)[0] for word in words)
    with_tax = -sum(_sums(cycle, word)[1] for word in words)
    is_paid = as_of >= cycle.paid_at
    return {
        "id": _document_number(cycle.ref),
        "invoice_id": int(_document_number(cycle.ref)),
        "type": "AUTO_INVOICE",
        "state": "COMPLETE",
        "currency_iso_code": cycle.currency,
        "date_created": iso(cycle.issued_at),
        "issue_date": iso(cycle.issued_at),
        "due_date": iso(cycle.issued_at + timedelta(days=30)),
        "issuing_user": {"type": "BATCH"},
        "payment": {"state": "PAID" if is_paid else "PENDING"},
        "shop_id": int(account.external_id),
        "shop_name": "Dom Ventas",
        "shop_model": "MARKETPLACE",
        "total_amount_excl_taxes": cents_number(without_tax),
        "total_amount_incl_taxes": cents_number(with_tax),
        "total_charged_amount": cents_number(with_tax),
        "total_taxes": [{"amount": cents_number(with_tax - without_tax), "code": "GST"}],
        "details": [],
    }
