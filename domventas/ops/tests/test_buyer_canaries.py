"""No byte of a buyer is left after the day: the sandbox's own buyers are looked for in a dump of everything."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domventas.core import retention
from domventas.core.models import Client
from domventas.core.tenancy import acting_for
from domventas.tests import canaries
from domventas.tests.filler import make
from marketplaces.models import Account, RawDocument
from marketplaces.records import Rejected
from marketplaces.redact import places
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.selectors.raw import body_of
from marketplaces.services import quarantine, raw, streams
from marketplaces.services.accounts import create_account
from marketplaces.services.reprocess import reprocess
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import accounts, sync
from marketplaces.tests.test_pull_sandbox import ACCOUNTS
from orders.models import BuyerContact, Order
from orders.services import buyers
from tickets.models import Ticket, TicketEvent

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True, databases=["default", "ops"])]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=11, orders=90, days=40, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings: Any) -> Iterator[Client]:
    """A client whose orders of the last weeks have just been read from three accounts."""
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    first = (NOW - 50 * DAY).date()
    with acting_for(client, actor="test"):
        for code, channel, ref, sites, secrets in ACCOUNTS:
            create_account(
                channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW,
                cutover_on=first,
            )  # fmt: skip
        assert {done.pulled.state for done in sync(accounts(), now=NOW, flow="orders")} == {"done"}
        yield client


def told_by_the_marketplaces() -> set[str]:
    """Every name, street and e-mail address that stands where connectors say that people stand."""
    found: set[str] = set()
    channels = dict(Account.objects.values_list("pk", "channel"))
    for document in RawDocument.objects.filter(is_encrypted=True):
        paths = connectors[channels[document.account_id]].flows[document.flow].pii_paths
        for value in places(json.loads(body_of(document)), paths):
            found |= {text for text in leaves(value) if "@" in text or (" " in text and any(map(str.isalpha, text)))}
    return {text for text in found if len(text) >= 8}


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def plant(contact: dict[str, str]) -> None:
    """What happens in daily life: a record that cannot be read, a ticket, a note, a changed note in the audit."""
    stream = streams.ensure(accounts()[0])[0]
    words = f"{contact['name']}, {contact['street']}"
    bad = Rejected(path="orders[7]", reason=f"{words}: no town", excerpt=words.encode(), external_id="X-7")
    quarantine.put(stream, [bad], raw_id=None, now=NOW)
    ticket = make(Ticket, title=f"Call {contact['name']}", account=None)
    make(TicketEvent, ticket=ticket, detail=f"writes to {contact['name']} again")
    Account.objects.update(status_note=f"{words} complained")
    Account.objects.update(status_note="")


def night(now: datetime) -> None:
    """What runs every night."""
    retention.forget(now=now)
    quarantine.purge(now=now)
    while raw.purge(now=now):
        pass
    buyers.purge(now=now)


def test_no_byte_of_a_buyer_is_left_after_the_day(house: Client) -> None:
    words = told_by_the_marketplaces()
    kept = {row.pk: row.contact for row in BuyerContact.objects.filter(contact__isnull=False)}
    assert len(words) >= 100 and len(kept) >= 40, "too few buyers to prove anything"
    before = canaries.dumped()
    assert canaries.counted(before, words) == {}, "they are there, but only encrypted"
    inside = canaries.counted(canaries.opened(before, [house.pk]), words)
    assert len(inside) == len(words), "the search finds what is there"
    plant(next(contact for contact in kept.values() if contact.get("street")))
    assert canaries.counted(canaries.dumped(), words), "what people write down stands there in plain"

    night(NOW + 31 * DAY)
    after = canaries.dumped()
    rows = BuyerContact.objects.filter(purged_at=None)
    alive = "\n".join(value for row in rows for value in (row.contact or {}).values()).casefold()
    gone = {word for word in words if word.casefold() not in alive}  # a street may be another one's, too
    assert len(gone) >= 60 and not RawDocument.objects.filter(redacted_at=None, is_encrypted=True).exists()
    assert canaries.counted(after, words) == {}
    assert canaries.counted(canaries.opened(after, [house.pk]), gone) == {}

    night(NOW + 181 * DAY)
    last = canaries.dumped()
    assert canaries.counted(last, words) == {}
    assert canaries.counted(canaries.opened(last, [house.pk]), words) == {}
    orders = Order.objects.count()
    reprocess(accounts(), now=NOW + 182 * DAY, flow="orders")
    assert Order.objects.count() == orders
    assert not BuyerContact.objects.filter(contact__isnull=False).exists(), "reading the archive again revives nobody"


def test_the_search_knows_every_disguise() -> None:
    """A counter that finds nothing proves nothing."""
    word = "Müller & Söhne 12"
    for form in (word, word.upper(), json.dumps(word)[1:-1], "x" + word):
        assert canaries.counted(form.encode(), [word]) == {word: 1}
    for lead in (b"", b"a", b"ab"):
        assert canaries.counted(base64.b64encode(lead + word.encode() + b"tail"), [word]) == {word: 1}
    packed = b"1\t\\\\x" + zlib.compress(word.encode()).hex().encode() + b"\n"
    assert canaries.counted(packed, [word]) == {word: 1}
