"""What was earned: rates, costs, rules, expectations, settlements, verdicts and receivables."""

from finance.models.costs import SkuCost
from finance.models.files import StatementFile
from finance.models.rates import ExchangeRate, ReferenceRate
from finance.models.reconciliation import (
    DeviationSum,
    Discrepancy,
    ExpectedCharge,
    LineReconciliation,
    Receivable,
    ReconcileMark,
    RuleGap,
)
from finance.models.rules import FeeKindMap, FeeRule, PaymentTerm, RefundRule, Tolerance
from finance.models.settlements import Payout, Settlement, SettlementLine, Transaction

__all__ = [
    "DeviationSum",
    "Discrepancy",
    "ExchangeRate",
    "ExpectedCharge",
    "FeeKindMap",
    "FeeRule",
    "LineReconciliation",
    "PaymentTerm",
    "Payout",
    "Receivable",
    "ReconcileMark",
    "ReferenceRate",
    "RefundRule",
    "RuleGap",
    "Settlement",
    "SettlementLine",
    "SkuCost",
    "StatementFile",
    "Tolerance",
    "Transaction",
]
