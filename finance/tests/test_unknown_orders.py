"""The gap scan hears of orders that only a statement names."""

from __future__ import annotations

from domventas.core.models import Client
from domventas.tests.filler import NOW, make
from finance.models import SettlementLine
from finance.models.settlements import LineState
from marketplaces.selectors import gaps


def test_an_order_only_a_settlement_names_is_a_gap(acting: Client) -> None:
    line = make(SettlementLine, order_ref="304-1", state=LineState.AWAITING, posted_at=NOW, settlement_ref="S1")
    account = line.settlement.account
    SettlementLine.objects.filter(pk=line.pk).update(account_id=account.pk)
    assert [(gap.order_ref, gap.named_by) for gap in gaps.unknown_orders(account)] == [("304-1", "S1")]
    SettlementLine.objects.filter(pk=line.pk).update(state=LineState.RECONCILED)
    assert gaps.unknown_orders(account) == []
