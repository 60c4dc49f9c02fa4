"""Overrides the builtin {% csrf_token %}: a form that posts also says for which client it was drawn."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


class ClientCsrfNode(CsrfTokenNode):
    """Django's hidden field and ours."""

    def render(self, context: Context) -> SafeString:
        """Nothing for our field outside a client."""
        html = super().render(context)
        client = getattr(context.get("request"), "client", None)
        if not html or client is None:
            return SafeString(html)
        return format_html('{}<input type="hidden" name="_client" value="{}">', html, client.slug)


@register.tag
def csrf_token(parser: Parser, token: Token) -> ClientCsrfNode:
    """The usual tag, in every template through the settings' builtins."""
    return ClientCsrfNode()


@register.simple_tag(takes_context=True)
def client_slug(context: dict[str, Any]) -> str:
    """The active client's short name, for HTMX's `hx-headers`; empty outside a client."""
    client = getattr(context.get("request"), "client", None)
    return client.slug if client else ""
