"""Secrets at rest: each client has a key of its own, and keys can be changed without losing anything."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection, models

from domventas.core import crypto
from domventas.core.crypto import Unreadable
from domventas.core.fields import EncryptedJSONField, EncryptedTextField, Sealed
from domventas.core.models import Client
from domventas.core.tenancy import acting_for

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def ring(settings: Any) -> None:
    settings.KEYRING = [OLD]


def test_a_token_opens_for_its_client_and_for_no_other() -> None:
    token = crypto.encrypt(b"hush", client=1)
    assert crypto.decrypt(token, client=1) == b"hush"
    with pytest.raises(Unreadable):
        crypto.decrypt(token, client=2)


def test_a_changed_token_does_not_open() -> None:
    token = crypto.encrypt(b"hush", client=1)
    with pytest.raises(Unreadable):
        crypto.decrypt(token[:-3] + "AAA", client=1)
    with pytest.raises(Unreadable):
        crypto.decrypt("hush", client=1)


def test_the_first_key_writes_and_all_read(settings: Any) -> None:
    old = crypto.encrypt(b"hush", client=1)
    settings.KEYRING = [NEW, OLD]
    assert crypto.decrypt(old, client=1) == b"hush"
    new = crypto.rotate(old, client=1)
    assert (crypto.token_key_id(old), crypto.token_key_id(new)) == (crypto.key_id(OLD), crypto.key_id(NEW))
    assert crypto.rotate(new, client=1) == new
    settings.KEYRING = [NEW]
    assert crypto.decrypt(new, client=1) == b"hush"
    with pytest.raises(Unreadable, match=crypto.key_id(OLD)):
        crypto.decrypt(old, client=1)


def test_without_keys_nothing_is_written(settings: Any) -> None:
    settings.KEYRING = []
    with pytest.raises(Unreadable, match="empty"):
        crypto.encrypt(b"hush", client=1)


def test_a_name_of_a_key_tells_nothing_of_the_key() -> None:
    assert len(crypto.key_id(OLD)) == 8
    assert crypto.key_id(OLD) not in OLD


class _Row:
    """Enough of a row for a field: its client and the column."""

    def __init__(self, client_id: int, **values: Any) -> None:
        self.client_id = client_id
        self.__dict__.update(values)


@pytest.mark.parametrize(
    ("field", "value"), [(EncryptedTextField(), "hush"), (EncryptedJSONField(), {"token": "hush", "scopes": [1, None]})]
)
def test_a_column_is_sealed_for_the_client_of_its_row(field: EncryptedTextField, value: Any) -> None:
    field.set_attributes_from_name("secret")
    sealed = field.pre_save(_Row(1, secret=value), add=True)  # type: ignore[arg-type]  # see _Row
    assert isinstance(sealed, Sealed)
    assert "hush" not in f"{sealed!r} {sealed} {sealed.token}"
    assert field.open(sealed.token, client=1) == value
    with pytest.raises(Unreadable):
        field.open(sealed.token, client=2)


def test_a_secret_that_nobody_opened_goes_back_unchanged() -> None:
    field = EncryptedTextField()
    field.set_attributes_from_name("secret")
    sealed = Sealed(crypto.encrypt(b"hush", client=1))
    assert field.pre_save(_Row(1, secret=sealed), add=False) is sealed  # type: ignore[arg-type]  # see _Row
    assert field.get_db_prep_value(sealed, connection) == sealed.token


def test_an_update_seals_for_the_acting_client(db: None) -> None:
    client = Client.objects.create(slug="a", name="A")
    field = EncryptedTextField()
    with acting_for(client):
        token = field.get_prep_value("hush")
    assert crypto.decrypt(token, client=client.pk) == b"hush"
    assert field.get_prep_value(None) is None
    assert isinstance(field.get_prep_value(models.F("other")), models.F)
