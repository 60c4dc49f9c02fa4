"""Ways from one finance record to its neighbors, shown only where the other page exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

NOTHING = "–"


def link(text: Any, route: str, *args: Any, query: Mapping[str, Any] | None = None) -> SafeString | str:
    """A link to a named route, or the text alone where there is no such page."""
    try:
        address = reverse(route, args=args)
    except NoReverseMatch:
        return str(text)
    return format_html('<a href="{}">{}</a>', f"{address}?{urlencode(query)}" if query else address, text)


def raw_document(raw_id: int | None) -> SafeString | str:
    """The marketplace's own bytes."""
    return link(raw_id, "admin:marketplaces_rawdocument_change", raw_id) if raw_id else NOTHING


def order(account_id: int, order_ref: str) -> SafeString | str:
    """The orders under a number of the marketplace's."""
    if not order_ref:
        return NOTHING
    query = {"account__id__exact": account_id, "q": order_ref}
    return link(order_ref, "admin:orders_order_changelist", query=query)
