"""What causes, reasons and states of money are called on the pages."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from domventas.core.templatetags.figures import spoken
from finance.models import Discrepancy
from finance.models.settlements import LineState

#: Why money is late, as receivables say it.
REASONS: Final = {
    "differs": _("Paid, but not all of it"),
    "not_in_settlement": _("Delivered, in no statement"),
    "released_not_settled": _("Released, not in its statement"),
    "settlement_absent": _("Statement not seen"),
    "claimed": _("Claimed at the marketplace"),
    "": _("no reason known"),
}
#: Why a settlement line is not simply right, beyond the causes of findings.
CAUSES: Final = {
    **{cause.value: cause.label for cause in Discrepancy.Cause},
    "no_rule": _("no rule to expect it"),
    "no_order": _("order not in yet"),
    "": _("no cause named"),
}
STATES: Final = {state.value: state.label for state in LineState}
CLASSES: Final = {"profit": _("profit"), "tax": _("tax, not a cost"), "cash": _("cash, not a cost")}


def place(group_key: str, site: str) -> str:
    """What makes a group of findings one: "amazon.de · referral fee · sale", or the settlement's number."""
    parts = [spoken(part) for part in group_key.split("|")[1:] if part]
    return " · ".join(parts) if site in parts or not site else " · ".join([site, *parts])
