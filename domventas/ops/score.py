"""Holds what we found against what the sandbox knows to be true: precision and recall, by count and never by opinion.

This is the only module that may read the sandbox's truth.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import requests

from finance.models import Discrepancy, LineReconciliation
from finance.models.reconciliation import Verdict
from marketplaces.models import Account
from orders.selectors.unmapped import unknown_offers

SECONDS = 60


class Key(NamedTuple):
    """What makes a finding and a planted fault the same thing: account, cause, and what it belongs to."""

    account: str
    cause: str
    ref: str


@dataclass
class Tally:
    """Planted against found for one kind of fault."""

    planted: int = 0
    found: int = 0
    right: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Right ÷ found; 1 when nothing was found."""
        return round(self.right / self.found, 4) if self.found else 1.0

    @property
    def recall(self) -> float:
        """Right ÷ planted; 1 when nothing was planted."""
        return round(self.right / self.planted, 4) if self.planted else 1.0

    def as_dict(self, *, examples: int = 5) -> dict[str, Any]:
        """For `--json`; with a few of what was missed or wrongly found."""
        out: dict[str, Any] = {
            "planted": self.planted, "found": self.found, "precision": self.precision, "recall": self.recall
        }  # fmt: skip
        if self.missed:
            out["missed"] = self.missed[:examples]
        if self.wrong:
            out["wrong"] = self.wrong[:examples]
        return out


def truth(sandbox_url: str) -> list[dict[str, Any]]:
    """The planted faults that are visible at the sandbox's clock. Raises: requests.RequestException."""
    answer = requests.get(f"{sandbox_url}/__sandbox/truth", timeout=SECONDS)
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines() if line.strip()]


def score(rows: Iterable[Mapping[str, Any]], *, now: datetime) -> dict[str, Any]:
    """Precision and recall per fault and in all, for the client we act for, over faults visible at `now`."""
    planted: dict[str, Counter[Key]] = defaultdict(Counter)
    for row in rows:
        if row.get("expected") == "none" or _when(row) > now:
            continue
        planted[_fault(row)][_planted_key(row)] += 1
    found = _found()
    faults: dict[str, Tally] = {}
    for fault in sorted(set(planted) | set(found)):
        faults[fault] = _compare(planted.get(fault, Counter()), found.get(fault, Counter()))
    total = _sum(tally for fault, tally in faults.items() if fault != "unmapped")
    return {
        "types": {
            "payment_discrepancy": total.as_dict(),
            "missing_product_data": faults.get("unmapped", Tally()).as_dict(),
        },
        "reconciliation": {fault: tally.as_dict() for fault, tally in faults.items() if fault != "unmapped"},
        # Roundings of fees that nobody planted: within the tolerance, no finding, and told so that they cannot hide.
        "tolerated_fees": _tolerated_fees(),
    }


def _tolerated_fees() -> int:
    """Kinds of order lines tolerated that are no tax."""
    return LineReconciliation.objects.filter(verdict=Verdict.TOLERATED).exclude(kind__endswith="_tax").count()


def _compare(planted: Counter[Key], found: Counter[Key]) -> Tally:
    """Two of one kind on one thing count as two."""
    return Tally(
        planted=sum(planted.values()),
        found=sum(found.values()),
        right=sum((planted & found).values()),
        missed=sorted("/".join(key) for key in planted - found),
        wrong=sorted("/".join(key) for key in found - planted),
    )


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.planted += tally.planted
        total.found += tally.found
        total.right += tally.right
        total.missed += tally.missed
        total.wrong += tally.wrong
    return total


def _when(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["visible_from"]).replace("Z", "+00:00"))


def _fault(row: Mapping[str, Any]) -> str:
    return "unmapped" if row["type"] == "missing_product_data" else str(row["fault"])


def _planted_key(row: Mapping[str, Any]) -> Key:
    refs = row["refs"]
    fault = _fault(row)
    if fault == "unmapped":
        return Key(row["account_ref"], fault, str(refs["sku"]))
    if fault == "header_mismatch" or not refs.get("line"):
        return Key(row["account_ref"], fault, str(refs.get("settlement") or refs.get("order")))
    return Key(row["account_ref"], fault, str(refs["line"]))


def _found() -> dict[str, Counter[Key]]:
    """Everything we say is wrong, and what we tolerate, in the same words as the truth."""
    found: dict[str, Counter[Key]] = defaultdict(Counter)
    living = Discrepancy.objects.exclude(state=Discrepancy.State.GONE)
    for account, cause, line_ref, settlement, order_ref in living.values_list(
        "account__external_id", "cause", "line_ref", "settlement__settlement_ref", "order_ref"
    ):
        found[cause][Key(account, cause, line_ref or settlement or order_ref)] += 1
    tolerated = LineReconciliation.objects.filter(verdict=Verdict.TOLERATED, kind__endswith="_tax")
    for account, line_ref in tolerated.values_list("line__order__account__external_id", "line__external_id"):
        found["tax_one_cent"][Key(account, "tax_one_cent", line_ref)] += 1
    held = {(offer.account_code, offer.seller_sku) for offer in unknown_offers() if offer.line_count}
    ids = dict(Account.objects.values_list("code", "external_id"))
    for code, sku in held:
        found["unmapped"][Key(ids[code], "unmapped", sku)] += 1
    return found
