"""What the demo prints at its end: counts, sums that must hold, and the score against the truth."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum

from domventas.core import tenancy
from domventas.core.models import Client
from domventas.ops.demo.life import Sandbox, run
from domventas.ops.score import score, truth
from finance.models import Receivable, Settlement, SettlementLine
from marketplaces.models import Account
from orders.models import Order, OrderLine
from tickets.models import Ticket


def summary(client: Client, sandbox: Sandbox, *, now: datetime) -> dict[str, Any]:
    """The figures of the demo, computed from the database and held against the sandbox's truth."""
    with tenancy.acting_for(client, actor="demo"):
        states = run("reconcile", client=client.slug, now=now)
        judged = score(truth(sandbox.url), now=now)
        total = judged["types"]["payment_discrepancy"]
        first, last = Order.objects.order_by("ordered_on").first(), Order.objects.order_by("ordered_on").last()
        return {
            "marketplaces": Account.objects.values("channel").distinct().count(),
            "accounts": Account.objects.count(),
            "orders": Order.objects.count(),
            "days": (last.ordered_on - first.ordered_on).days + 1 if first and last else 0,
            "order_lines": OrderLine.objects.count(),
            "settlements": Settlement.objects.count(),
            "settlement_lines": SettlementLine.objects.count(),
            "reconciled": states["reconciled"],
            "tolerated": states["tolerated"],
            "discrepancies": states["discrepancies"],
            "awaiting": states["awaiting"],
            "balanced": states["balanced"],
            "settled_share_by_value": states.get("settled_share_by_value"),
            "receivables": receivables(),
            "tickets": Ticket.objects.count(),
            "truth": {key: total[key] for key in ("planted", "found", "precision", "recall")},
            "score": judged,
        }


def receivables() -> dict[str, Any]:
    """Shipped value per currency and its states; `balanced` when the states add up to what was shipped."""
    out: dict[str, Any] = {}
    rows = Receivable.objects.values("currency", "state").annotate(value=Sum("shipped_value"), lines=Count("pk"))
    shipped = dict(Receivable.objects.values_list("currency").annotate(Sum("shipped_value")).order_by())
    for row in rows.order_by("currency", "state"):
        part = out.setdefault(row["currency"], {"shipped": str(shipped[row["currency"]]), "states": {}})
        part["states"][row["state"]] = {"value": str(row["value"]), "lines": row["lines"]}
    for part in out.values():
        part["balanced"] = sum(Decimal(s["value"]) for s in part["states"].values()) == Decimal(part["shipped"])
    return out
