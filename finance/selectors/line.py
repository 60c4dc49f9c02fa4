"""One settlement line in full: its order line expected beside paid, the rules behind it, and what explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from finance.models import FeeRule, LineReconciliation, RefundRule, SettlementLine, Tolerance
from finance.selectors.reconciliation import Beside, line_beside
from orders.models import OrderLine

NOTHING: Final = Decimal(0)
#: How far around a sale others of its kind are looked at.
AROUND: Final = timedelta(days=30)
#: What belongs to money given back is judged by refund rules, the rest by fee rules.
REFUND: Final = "refund"
FEE_CAUSES: Final = ("fee_overcharged", "fee_undercharged", "rate_changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A possible cause: how many of the lines alike it explains, and what speaks for or against it."""

    title: str | Promise
    explains: int
    of: int
    evidence: str | Promise
    is_likely: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A settlement line with everything known about its order line [its currency]."""

    line: SettlementLine
    components: Sequence[Beside]
    rules: Mapping[int, FeeRule | RefundRule]
    tolerance: Tolerance | None
    candidates: Sequence[Candidate]

    @property
    def expected(self) -> Decimal:
        """Everything expected; what no rule tells counts as nothing."""
        return sum((row.expected or NOTHING for row in self.components), NOTHING)

    @property
    def paid(self) -> Decimal:
        """Everything booked."""
        return sum((row.actual or NOTHING for row in self.components), NOTHING)

    @property
    def difference(self) -> Decimal:
        """Paid − expected over all that was judged."""
        return sum((row.difference or NOTHING for row in self.components), NOTHING)

    @property
    def judged(self) -> Beside | None:
        """The component this line is a row of."""
        mine = (row for row in self.components if (row.event, row.kind) == (self.line.event, self.line.kind))
        return next(mine, None)

    @property
    def rule(self) -> FeeRule | RefundRule | None:
        """The rule by which this line's component was expected."""
        judged = self.judged
        return self.rules.get(judged.rule_id) if judged and judged.rule_id else None


def opened(line: SettlementLine) -> Opened:
    """Everything about one settlement line; a fixed number of queries."""
    if line.order_line is None:
        return Opened(line=line, components=(), rules={}, tolerance=None, candidates=())
    components = line_beside(line.order_line)
    wanted = {row.rule_id for row in components if row.rule_id and row.event == line.event}
    rules: Mapping[int, FeeRule | RefundRule] = (
        RefundRule.objects.in_bulk(wanted) if line.event == REFUND else FeeRule.objects.in_bulk(wanted)
    )
    return Opened(
        line=line,
        components=components,
        rules=rules,
        tolerance=_tolerance(line.order_line, line.kind),
        candidates=_candidates(line, line.order_line),
    )


def _tolerance(line: OrderLine, kind: str) -> Tolerance | None:
    order = line.order
    rows = Tolerance.objects.filter(
        Q(kind="") | Q(kind=kind), site=order.site.code, currency=order.currency, valid__contains=order.ordered_on
    )
    return rows.order_by("-kind").first()


def _candidates(line: SettlementLine, sold: OrderLine) -> list[Candidate]:
    """What others of the same kind, site and weeks say about a deviating fee; one query."""
    if line.cause not in FEE_CAUSES:
        return []
    order = sold.order
    rows = LineReconciliation.objects.filter(
        kind=line.kind,
        event=line.event,
        line__order__site=order.site_id,
        line__order__ordered_on__range=(order.ordered_on - AROUND, order.ordered_on + AROUND),
    )
    if sold.sku_id:
        rows = rows.filter(line__sku__product__category=sold.sku.product.category if sold.sku else "")
    found = rows.aggregate(
        alike=Count("pk", filter=Q(verdict="discrepancy", cause__in=FEE_CAUSES)),
        same=Count("pk", filter=Q(line__sku=sold.sku_id, verdict="discrepancy", cause__in=FEE_CAUSES)),
        fine=Count("pk", filter=Q(verdict__in=["reconciled", "tolerated"])),
    )
    alike, same, fine = found["alike"], found["same"], found["fine"]
    agreeing = _("%(fine)d of %(all)d lines of this category agree with the rule in these weeks.") % {
        "fine": fine, "all": fine + alike,
    }  # fmt: skip
    return sorted(
        [
            Candidate(
                title=_("The marketplace changed its rate, or our rule is out of date"),
                explains=alike if not fine else 0, of=alike,
                evidence=agreeing,
                is_likely=alike > 1 and not fine,
            ),
            Candidate(
                title=_("This article is charged in another category"), explains=same, of=alike,
                evidence=_("Deviating lines of the same article: look at the category of its listing."),
                is_likely=same > 1 and bool(fine),
            ),
            Candidate(
                title=_("A single mistake of the marketplace"), explains=1 if fine else 0, of=alike,
                evidence=agreeing,
                is_likely=same <= 1 and bool(fine),
            ),
        ],
        key=lambda candidate: not candidate.is_likely,
    )  # fmt: skip
