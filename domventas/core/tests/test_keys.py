"""A change of keys: every secret moves, wherever it lies; nothing is lost on the way, and no key goes early."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks as django_checks
from django.core.management import CommandError, call_command
from django.db import connections

from domventas.core import crypto, keys
from domventas.core.checks import walled_models
from domventas.core.crypto import Unreadable
from domventas.core.models import AuditEntry, Client
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import Credential, Quarantined, RawDocument
from orders.models import BuyerContact

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True, databases=["default", "owner", "ops"])]


@pytest.fixture
def house(settings: Any) -> Client:
    """A client with secrets in every kind of column, made with the old key; the new one writes now."""
    settings.KEYRING = [OLD]
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with acting_for(client, actor="test"):
        for n in range(7):
            make(Credential, secrets={"key": f"s{n}"})
            make(BuyerContact, contact={"name": f"Buyer {n}"})
            sealed = crypto.encrypt(b"raw", client=client.pk).encode()
            make(RawDocument, body=sealed, is_encrypted=True)
            make(Quarantined, excerpt=sealed)
        make(RawDocument, body=b"x\x9cplain")
    settings.KEYRING = [NEW, OLD]
    return client


def rotated(**options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("rotate_keys", json=True, stdout=out, stderr=StringIO(), **options)
    return json.loads(out.getvalue())


def test_every_secret_moves_and_stays_readable_without_the_old_key(house: Client, settings: Any) -> None:
    assert set(keys.held()) >= {
        "marketplaces_credential.secrets", "marketplaces_credential.tokens", "marketplaces_rawdocument.body",
        "marketplaces_quarantined.excerpt", "orders_buyercontact.contact",
    }  # fmt: skip
    with pytest.raises(CommandError, match=f"{crypto.key_id(OLD)} may not go: .*7 in orders_buyercontact.contact"):
        call_command("rotate_keys", retire=crypto.key_id(OLD))
    with pytest.raises(CommandError, match=r"Keep every key: .*7 on"):
        call_command("rotate_keys", check=True, stderr=StringIO())
    done = rotated(batch=3)
    assert done["left"] == {} and done["moved"]["orders_buyercontact.contact"] == 7
    assert rotated()["moved"] == {}, "the second time there is nothing to do"
    out = StringIO()
    call_command("rotate_keys", retire=crypto.key_id(OLD), stdout=out)
    assert "may be taken off" in out.getvalue()
    settings.KEYRING = [NEW]
    with acting_for(house):
        assert sorted(row.contact["name"] for row in BuyerContact.objects.all())[0] == "Buyer 0"
        assert {row.secrets["key"] for row in Credential.objects.all()} == {f"s{n}" for n in range(7)}
        bodies = [bytes(row.body) for row in RawDocument.objects.order_by("pk")]
        assert [crypto.decrypt(body.decode(), client=house.pk) for body in bodies[:7]] == [b"raw"] * 7
        assert bodies[7] == b"x\x9cplain"
        moved = AuditEntry.objects.filter(table="marketplaces_credential", actor="command:rotate_keys")
        assert moved.count() == 7 * 2, "one entry a column: the audit knows of the move, by fingerprints"


def test_a_move_that_was_stopped_goes_on_where_it_was(house: Client) -> None:
    class Stopped(Exception):
        pass

    def stop(column: str, moved: int) -> None:
        if column.startswith("orders"):
            raise Stopped

    with pytest.raises(Stopped):
        keys.rotate(batch=2, told=stop)
    left = keys.left()
    assert left == {"orders_buyercontact.contact": {crypto.key_id(OLD): 5}}
    assert keys.rotate(batch=2).moved == {"orders_buyercontact.contact": 5}


def test_what_cannot_be_opened_is_left_and_holds_the_old_key(house: Client, settings: Any) -> None:
    settings.KEYRING = [OTHER]
    with acting_for(house):
        make(BuyerContact, contact={"name": "lost"})
    settings.KEYRING = [NEW, OLD]
    err = StringIO()
    with pytest.raises(CommandError, match=f"orders_buyercontact.contact: 1 on {crypto.key_id(OTHER)}"):
        call_command("rotate_keys", stdout=StringIO(), stderr=err)
    assert "orders_buyercontact.contact: 1 cannot be opened" in err.getvalue()


def test_a_value_changed_meanwhile_keeps_the_change(house: Client) -> None:
    with acting_for(house):
        row = BuyerContact.objects.order_by("pk").first()
        assert row
        column = next(c for c in keys.columns() if c.table == "orders_buyercontact")
        rows = keys._batch(column, 0, 1)
        BuyerContact.objects.filter(pk=row.pk).update(contact={"name": "newer"})
        assert keys._move(column, rows) == (0, 0)
        assert BuyerContact.objects.get(pk=row.pk).contact == {"name": "newer"}


@pytest.mark.parametrize("alias", ["default", "owner", "ops"])
def test_the_start_names_what_a_missing_key_has_made(house: Client, settings: Any, alias: str) -> None:
    def told() -> list[str]:
        found = django_checks.run_checks(tags=[django_checks.Tags.database], databases=[alias])
        return [message.msg for message in found if str(message.id).startswith("core.")]

    assert told() == []
    settings.KEYRING = [NEW]
    assert (
        f"orders_buyercontact.contact: 7 values were made with key {crypto.key_id(OLD)}, which is not on the ring"
        in (told())
    )
    settings.KEYRING = ["not a key"]
    assert "no key of 32 bytes" in told()[0]


def test_without_its_key_a_secret_is_an_error_and_never_empty(house: Client, settings: Any) -> None:
    settings.KEYRING = [NEW]
    with acting_for(house):
        row = BuyerContact.objects.first()
        assert row
        with pytest.raises(Unreadable, match=r"no key .* on the ring"):
            _ = row.contact


def test_a_row_copied_to_another_client_does_not_open(house: Client) -> None:
    other = Client.objects.create(slug="other", name="Other")
    with acting_for(other):
        theirs = make(BuyerContact, contact={"name": "own"})
    with connections["ops"].cursor() as cursor:
        cursor.execute(
            "UPDATE orders_buyercontact SET contact = (SELECT contact FROM orders_buyercontact WHERE client_id = %s"
            " LIMIT 1) WHERE id = %s",
            [house.pk, theirs.pk],
        )
    with acting_for(other), pytest.raises(Unreadable):
        _ = BuyerContact.objects.get(pk=theirs.pk).contact


def test_no_column_of_bytes_hides_from_the_change_of_keys() -> None:
    """Bytes are either declared encrypted or stand here with what they are."""
    plain: set[str] = set()
    found = {
        f"{model._meta.label}.{one.name}"
        for model in walled_models()
        for one in model._meta.concrete_fields
        if one.get_internal_type() == "BinaryField" and not getattr(one, "encrypted", False)
    }
    assert found == plain
