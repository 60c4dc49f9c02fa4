"""Where a page leads to is there, and is for the one who reads it: every kind of link is followed, by every role."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest

from domventas.core.models import Client
from domventas.core.roles import Role
from domventas.ops.demo.life import Sandbox, drop_statements, furnish, run
from domventas.tests.walk import links_within_links, signed_in
from marketplaces.sandbox.server import start

NOW = datetime(2026, 11, 21, tzinfo=UTC)
#: Sheets, files, and what would end the walk.
ASIDE = re.compile(r"format=csv|/logout/|/static/|/password_change/")
#: The admin sends a filter it cannot read back to the list with this.
REFUSED = "e=1"


@pytest.fixture
def desk(transactional_db: None, settings: Any) -> Iterator[Client]:
    """A small world with something on every page: every planted fault, statements, tickets."""
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with start(seed=3, orders=150, days=60, now=NOW, faults="payment", speed=100_000) as sandbox:
        settings.SANDBOX_URL = sandbox.url
        furnish(client, Sandbox(url=sandbox.url), now=NOW)
        run("sync", client=client.slug, now=NOW)
        drop_statements(client, Sandbox(url=sandbox.url), now=NOW)
        run("reconcile", client=client.slug, now=NOW)
        run("detect", client=client.slug, now=NOW)
        yield client


def kind_of(link: str) -> str:
    """What links of the same kind have in common: the page and the names of its filters."""
    parts = urlsplit(link)
    path = re.sub(r"/orders/[a-z-]+/[^/]+/", "/orders/A/X/", re.sub(r"/\d+/", "/N/", parts.path))
    return f"{path}?{'&'.join(sorted(name for name, _value in parse_qsl(parts.query, keep_blank_values=True)))}"


@pytest.mark.parametrize(
    "roles", [(Role.OPS, Role.FINANCE), pytest.param(tuple(Role), marks=pytest.mark.access, id="everybody")]
)
def test_no_link_of_our_pages_is_dead(desk: Client, roles: tuple[Role, ...]) -> None:
    walked: dict[Role, int] = {}
    dead: list[tuple[Role, int, str, str]] = []
    for role in roles:
        browser, home = signed_in(desk, role), f"/c/{desk.slug}/"
        seen, queue = {kind_of(home)}, deque([(home, "")])
        while queue:
            link, page = queue.popleft()
            answer = browser.get(link, follow=True)
            ended = answer.redirect_chain[-1][0] if answer.redirect_chain else link
            if answer.status_code != 200 or REFUSED in urlsplit(ended).query.split("&"):
                dead.append((role, answer.status_code, link, page))
            if answer.status_code != 200 or "html" not in answer["Content-Type"] or "/admin/" in ended:
                continue
            dead += [(role, 200, nested, link) for nested in links_within_links(answer.content.decode())]
            for found in re.findall(r'(?:href|hx-get)="([^"]*)"', answer.content.decode()):
                onward = urljoin(ended, unescape(found.replace("&amp;", "&"))).partition("#")[0]
                if onward.startswith(home) and not ASIDE.search(onward) and kind_of(onward) not in seen:
                    seen.add(kind_of(onward))
                    queue.append((onward, link))
        walked[role] = len(seen)
    assert not dead, "\n".join(map(str, dead))
    assert min(walked.values()) >= 2 and max(walked.values()) > 100, walked
