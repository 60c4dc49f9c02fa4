"""The archive, read: an answer as its translator gets it, and as a person may see it."""

from __future__ import annotations

import json
import zlib
from typing import Final

from domventas.core import crypto, tenancy
from domventas.core.errors import DomventasError
from marketplaces.models import Account, RawDocument
from marketplaces.port import RawPage
from marketplaces.redact import blank
from marketplaces.registry import connectors

#: Longest text shown of one document [characters].
SHOWN: Final = 200_000


class NoSuchDocument(DomventasError):
    """The raw document is not there: never was, or its month was dropped."""

    message = "This raw document is no longer kept."


class Damaged(crypto.Unreadable):
    """The stored bytes are not what was stored: a broken disk, or a hand."""

    message = "The stored bytes of this raw document are damaged."


def document_of(raw_id: int) -> RawDocument:
    """A raw document by its id. Raises: NoSuchDocument."""
    document = RawDocument.objects.filter(pk=raw_id).first()
    if document is None:
        raise NoSuchDocument(detail=f"raw document {raw_id}")
    return document


def page_of(document: RawDocument) -> RawPage:
    """The page a row holds, decrypted and unpacked. Raises: core.crypto.Unreadable."""
    return RawPage(
        body=body_of(document), content_type=document.content_type, context=document.context, name=document.name
    )


def body_of(document: RawDocument) -> bytes:
    """The bytes as they came, or as the removal of personal data left them.

    Raises: core.crypto.Unreadable: no key of ours opens them, or they are damaged.
    """
    packed = bytes(document.body)
    if document.is_encrypted:
        packed = crypto.decrypt(packed.decode(), client=tenancy.current().one)
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise Damaged(detail=f"raw document {document.pk}") from error


def without_people(document: RawDocument) -> bytes:
    """The bytes with personal data blanked; nothing at all where it cannot be told apart.

    Raises: core.crypto.Unreadable: no key of ours opens them, or they are damaged.
    """
    account = Account.objects.get(pk=document.account_id)
    connector = connectors.get(account.channel)
    flow = connector.flows.get(document.flow) if connector else None
    if flow is None:
        return b""
    try:
        return blank(body_of(document), flow.pii_paths)
    except ValueError:
        return b""


def shown(document: RawDocument, *, with_people: bool) -> str:
    """The document as text for a person: JSON indented, files as they are, personal data only if asked for."""
    body = body_of(document) if with_people or not document.is_encrypted else without_people(document)
    text = body.decode("utf-8", "replace")
    if len(text) <= SHOWN:
        try:
            text = json.dumps(json.loads(text, parse_float=str), indent=2, ensure_ascii=False)
            text = text.encode("utf-8", "backslashreplace").decode()  # half a character, as it came
        except ValueError:
            return text
    return text[:SHOWN]
