"""What a finding costs per day in the client's base currency, and how severe that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from domventas.core.models import Client, Threshold
from domventas.core.money import to_cents
from domventas.core.tenancy import current
from finance.selectors.rates import RateBook, rates_on
from tickets.models import Ticket

ONE_OFF_DAYS = 30
"""A one-off amount counts as its thirtieth part per day, so that it can stand beside a daily loss."""

CRUMB = Decimal("0.0001")

CUTS = {"severity.s1": Decimal(500), "severity.s2": Decimal(100), "severity.s3": Decimal(20)}
"""Contribution per day [base currency] from which a ticket is S1, S2, S3; thresholds of the client override them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The client's base currency, the rates into it, and its cut points, read once per run."""

    currency: str
    book: RateBook
    cuts: dict[str, Decimal]
    now: datetime

    @classmethod
    def load(cls, *, now: datetime) -> Base:
        """Read currency, rates of the day and cut points of the client we act for: four queries."""
        client = Client.objects.get(pk=current().one)
        cuts = dict(Threshold.objects.filter(code__in=CUTS, scope_kind="").values_list("code", "value"))
        return cls(
            currency=client.base_currency,
            book=rates_on(now.date()),
            cuts={**CUTS, **cuts},
            now=now,
        )

    def per_day(self, amount: Decimal | None, currency: str) -> Decimal | None:
        """|amount| ÷ 30 in base currency [per day]; None when there is no amount or no rate for its currency.

        To a hundredth of a cent, or the many crumbs of one ticket would add up to nothing.
        """
        if amount is None or not currency:
            return None
        converted = self.book.convert(abs(amount), currency, self.currency)
        return (converted.amount / ONE_OFF_DAYS).quantize(CRUMB) if converted else None

    def rounded(self, per_day: Decimal | None) -> Decimal | None:
        """The same to the cent, as tickets show and add it up."""
        return None if per_day is None else to_cents(per_day, self.currency)

    def severity(self, per_day: Decimal | None, deadline_at: datetime | None, *, at_least: str = "") -> str:
        """S1–S4 by contribution per day × urgency; a deadline within a day counts thrice, within three days twice."""
        return min(self._by_money(per_day, deadline_at), at_least or Ticket.Severity.S4)

    def _by_money(self, per_day: Decimal | None, deadline_at: datetime | None) -> str:
        score = (per_day or Decimal(0)) * self._urgency(deadline_at)
        for code, severity in (("severity.s1", "S1"), ("severity.s2", "S2"), ("severity.s3", "S3")):
            if score >= self.cuts[code]:
                return severity
        return str(Ticket.Severity.S4)

    def _urgency(self, deadline_at: datetime | None) -> int:
        if deadline_at is None:
            return 1
        left = deadline_at - self.now
        return 3 if left < timedelta(days=1) else 2 if left < timedelta(days=3) else 1
