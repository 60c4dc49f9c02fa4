"""When a run of fees deviates by one rate: the new rate as a rule, proposed by us and accepted by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.models import Count, Min
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from finance.models import Discrepancy, ExpectedCharge, FeeRule, LineReconciliation
from finance.models.rules import Origin

#: rate_changed | site | kind | category | rate of the rule | rate charged
PARTS: Final = 6


class NoProposal(DomventasError, ValueError):
    """There is nothing to make a rule of, or the rule has changed since."""

    message = "No rule can be made of this."


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A rule that would make a run of equal deviations right: the old rule ends the day before `valid_from`."""

    group_key: str
    rule_id: int
    site: str
    kind: str
    category: str
    old_rate: Decimal
    new_rate: Decimal
    valid_from: date
    lines: int


def propose(group_key: str) -> Proposal:
    """The rule the run asks for, from the first day on which it was charged otherwise.

    Raises: NoProposal: no such run, or its lines follow several rules.
    """
    parts = group_key.split("|")
    if len(parts) != PARTS or parts[0] != Discrepancy.Cause.RATE_CHANGED:
        raise NoProposal
    rows = LineReconciliation.objects.filter(
        group_key=group_key, cause=Discrepancy.Cause.RATE_CHANGED, event="sale", kind=parts[2]
    )
    found = rows.aggregate(lines=Count("pk"), first=Min("line__order__ordered_on"))
    if not found["lines"]:
        raise NoProposal(_("Nothing deviates like this any more."))
    expected = ExpectedCharge.objects.filter(line__in=rows.values("line"), event="sale", kind=parts[2])
    rules = list(expected.order_by().values_list("rule_id", flat=True).distinct()[:2])
    if len(rules) != 1 or rules[0] is None:
        raise NoProposal(_("These lines follow several rules; change each of them by hand."))
    return Proposal(
        group_key=group_key, rule_id=rules[0], site=parts[1], kind=parts[2], category=parts[3],
        old_rate=Decimal(parts[4]), new_rate=Decimal(parts[5]), valid_from=found["first"], lines=found["lines"],
    )  # fmt: skip


def accept_rule(proposal: Proposal, *, source: str) -> FeeRule:
    """End the old rule and start the new one the same day, as staff's own; the next reconciliation judges by it.

    Raises: NoProposal: no source given, or the old rule is not in force on that day any more.
    """
    if not source.strip():
        raise NoProposal(_("Say where the new rate stands."))
    day = proposal.valid_from
    with transaction.atomic():
        old = FeeRule.objects.select_for_update().filter(pk=proposal.rule_id, valid__contains=day).first()
        if old is None or old.rate != proposal.old_rate:
            raise NoProposal(_("The rule has been changed since."))
        ends = old.valid.upper
        new = FeeRule(
            **{
                field.attname: getattr(old, field.attname)
                for field in FeeRule._meta.concrete_fields
                if field.attname not in {"id", "client_id"}
            }
        )
        new.rate, new.valid, new.source, new.origin = (
            proposal.new_rate,
            DateRange(day, ends),
            source[:200],
            Origin.STAFF,
        )
        if old.valid.lower == day:
            old.delete()
        else:
            old.valid, old.origin = DateRange(old.valid.lower, day), Origin.STAFF
            old.save(update_fields=["valid", "origin"])
        new.save()
    return new
