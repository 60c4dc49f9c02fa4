"""Sparklines as inline SVG: no axis, one dot at the end, colors from the stylesheet."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

WIDTH, HEIGHT, EDGE = 88, 18, 2


@register.simple_tag
def spark(values: Sequence[Decimal]) -> SafeString:
    """A line through the values, oldest first; nothing for fewer than two."""
    if len(values) < 2:
        return SafeString("")
    low, high = min(values), max(values)
    span = (high - low) or Decimal(1)
    step = Decimal(WIDTH) / (len(values) - 1)
    points = [
        (f"{step * at:.1f}", f"{HEIGHT - EDGE - (value - low) / span * (HEIGHT - 2 * EDGE):.1f}")
        for at, value in enumerate(values)
    ]
    path = format_html_join(" L", "{} {}", points)
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<path d="M{}"/><circle cx="{}" cy="{}" r="2"/></svg>',
        WIDTH, HEIGHT, path, *points[-1],
    )  # fmt: skip
