"""What a walk over all tables and pages goes through; new ones come in by themselves."""

from __future__ import annotations

from html.parser import HTMLParser

from django.contrib import admin
from django.db import models
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

from domventas.core.models import Client, ClientModel, Membership, User
from domventas.core.roles import Role
from domventas.tests.filler import client_models

READ_ONLY = {"core.AuditEntry"}
"""Written by the database itself; the app may not."""
APPS = {"marketplaces", "catalog", "orders", "finance", "tickets", "reports"}


def label(model: type[models.Model]) -> str:
    """The model as people of the house call it."""
    return model._meta.label


def writable() -> list[type[ClientModel]]:
    """Client tables the app may write."""
    return [model for model in client_models() if model._meta.label not in READ_ONLY]


def admins() -> list[type[models.Model]]:
    """Client tables that have a list in the admin."""
    return sorted((m for m in admin.site._registry if issubclass(m, ClientModel) and m in writable()), key=label)


def pages() -> list[tuple[str, URLPattern]]:
    """Every page of ours outside the admin, by its name; new ones come in by themselves."""
    found: list[tuple[str, URLPattern]] = []
    for part in get_resolver().url_patterns:
        if isinstance(part, URLResolver) and part.app_name in APPS:
            found += [(f"{part.app_name}:{url.name}", url) for url in part.url_patterns if isinstance(url, URLPattern)]
    return found


def signed_in(client: Client, role: Role) -> Browser:
    """Somebody with this role for the client, and none for anybody else."""
    user = User.objects.create_user(f"{role}@example.com", "a long password", is_operator=role == Role.ADMIN)
    Membership.objects.create(user=user, client=client, role=role)
    browser = Browser()
    browser.force_login(user)
    return browser


class _Links(HTMLParser):
    """Finds links that begin within another: a browser ends the outer one there and leaves it empty."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.nested = "", list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, and that it lies within one."""
        if tag == "a":
            address = dict(attrs).get("href") or ""
            if self.open:
                self.nested.append(f"{address} within {self.open}")
            self.open = address or "-"

    def handle_endtag(self, tag: str) -> None:
        """The link ends."""
        if tag == "a":
            self.open = ""


def links_within_links(page: str) -> list[str]:
    """Links that stand within other links, of a page's HTML."""
    found = _Links()
    found.feed(page)
    return found.nested
