"""How figures are written on screen: true minus, thin no-break space, a dash for what is unknown, zero as zero."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from domventas.core import money as exact

register = template.Library()

DASH: Final = "–"
MINUS: Final = "\u2212"
THIN: Final = "\u202f"
MINUTE, HOUR, DAY = 60, 3600, 86_400
_IN_UTC: Final = re.compile(r"\b(\d{2}):(\d{2})(?::(\d{2}))? UTC\b")


@register.filter
def money(value: Decimal | exact.Money | None, currency: str = "") -> str:
    """`{{ line.amount|money:line.currency }}` → −27.63 EUR, in the currency's minor unit, rounded half-up."""
    amount, code = _parts(value, currency)
    return DASH if amount is None else f"{_number(_cents(amount, code))}{THIN}{code}"


@register.filter
def money_plain(value: Decimal | exact.Money | None, currency: str = "EUR") -> str:
    """The same without the code, for columns whose head names the currency."""
    amount, code = _parts(value, currency)
    return DASH if amount is None else _number(_cents(amount, code))


@register.filter
def whole(value: Decimal | int | exact.Money | None) -> str:
    """Without decimals, thousands with a comma: for management and counts."""
    amount = value.amount if isinstance(value, exact.Money) else value
    return DASH if amount is None else _number(_round(amount, "1"))


@register.filter
def share(value: Decimal | int | None, digits: int = 1) -> str:
    """A fraction as a percentage: 0.131 → 13.1 %."""
    if value is None:
        return DASH
    return f"{_number(_round(Decimal(value) * 100, '1' if not digits else '0.' + '0' * (digits - 1) + '1'))}{THIN}%"


@register.filter
def delta(value: Decimal | int | None) -> str:
    """A change as a percentage with its sign: +8.2 %, −3.5 %."""
    if value is None:
        return DASH
    return f"+{share(value)}" if value > 0 else share(value)


@register.filter
def signed(value: Decimal | int | None, currency: str = "") -> str:
    """An amount with its sign, in the currency's minor unit or whole."""
    if value is None:
        return DASH
    text = money_plain(Decimal(value), currency) if currency else whole(value)
    return f"+{text}" if value > 0 else text


@register.filter
def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long since: "3 min ago", "5 h ago", "2 days ago"; "now" under a minute, "in 4 h" for what is to come."""
    if moment is None:
        return DASH
    seconds = int(((now or timezone.now()) - moment).total_seconds())
    if abs(seconds) < MINUTE:
        return _("now")
    length = _length(abs(seconds))
    return _("%(length)s ago") % {"length": length} if seconds > 0 else _("in %(length)s") % {"length": length}


@register.filter
def local_times(text: str, day: datetime | None = None) -> str:
    """A kept message with the times it names in UTC put into the reader's zone; `day` says when it was written."""

    def put(found: re.Match[str]) -> str:
        hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
        if hour > 23 or minute > 59 or second > 59:
            return found[0]
        at = (day or timezone.now()).astimezone(UTC).replace(hour=hour, minute=minute, second=second)
        return timezone.localtime(at).strftime("%H:%M:%S" if found[3] else "%H:%M")

    return _IN_UTC.sub(put, str(text))


@register.filter
def lasting(span: timedelta | None) -> str:
    """How long: "15 min", "5 h", "3 days"; "0 min" under a minute."""
    return DASH if span is None else _length(int(abs(span.total_seconds())))


@register.filter
def spoken(code: str) -> str:
    """A code of ours as people read it: "referral_fee" → "referral fee"."""
    return str(code).replace("_", " ") or DASH


def _length(seconds: int) -> str:
    if seconds < HOUR:
        return _("%(count)d min") % {"count": seconds // MINUTE}
    if seconds < 2 * DAY:
        return _("%(count)d h") % {"count": seconds // HOUR}
    days = seconds // DAY
    return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}


def _parts(value: Any, currency: str) -> tuple[Decimal | None, str]:
    if isinstance(value, exact.Money):
        return value.amount, value.currency
    try:
        return (None if value is None else Decimal(value)), currency
    except InvalidOperation:  # a text that is no amount: unknown, and the page still opens
        return None, currency


def _cents(amount: Decimal, currency: str) -> Decimal:
    """In the minor unit; with all its digits where the currency is none: one bad row must not close a page."""
    return exact.to_cents(amount, currency) if exact.is_currency(currency) else amount


def _round(value: Decimal | int, to: str) -> Decimal:
    return Decimal(value).quantize(Decimal(to), rounding=ROUND_HALF_UP)


def _number(value: Decimal) -> str:
    """Thousands with a comma and a true minus; what rounds to zero has no sign."""
    return f"{abs(value):,f}" if value == 0 or value > 0 else f"{MINUS}{abs(value):,f}"
