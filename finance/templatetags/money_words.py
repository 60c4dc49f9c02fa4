"""Words of money in templates: what class a kind belongs to, and why."""

from __future__ import annotations

from django import template

from finance.pages.words import CAUSES, CLASSES

register = template.Library()


@register.filter
def money_class(code: str) -> str:
    """`{{ row.money_class|money_class }}` → "tax, not a cost"."""
    return str(CLASSES.get(code, code))


@register.filter
def cause(code: str) -> str:
    """A cause's name."""
    return str(CAUSES.get(code, code))
