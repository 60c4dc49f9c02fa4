"""Buyers' data: shown for a reason, kept by law, gone on its day or on request, from everywhere it may stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from domventas.core import traces
from domventas.core.access import NoReason
from domventas.core.checks import walled_models
from domventas.core.crypto import Unreadable
from domventas.core.errors import Refused
from domventas.core.models import AuditEntry, PiiAccess
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from finance.models import Discrepancy
from marketplaces.models import RawDocument, Stream, SyncWindow
from marketplaces.records import LineStatus, OrderRecord, Rejected
from marketplaces.selectors.raw import body_of
from marketplaces.services import quarantine, raw
from orders.models import BuyerContact, Erasure
from orders.services import buyers, facts
from orders.services.ingest import ingest
from orders.tests.conftest import BUYER, NOW, Shop, line, order
from orders.tests.test_admin import FORM, address, browser
from tickets.models import Finding, Ticket, TicketEvent

PLACED = order().ordered_at
DAY = timedelta(days=1)
OTHER = replace(BUYER, name="Otto Ocker", email="otto@example.com", street="Anderswo 3")
WORDS = ("marlene moritz", "m.moritz@example.com", "am sandtor 7")


def until(**values: Any) -> datetime:
    return facts.purge_at(order(hour=48, lines=(line(**values),)))


def test_the_day_comes_thirty_days_after_delivery_or_after_what_is_known_of_it() -> None:
    delivered = {"status": LineStatus.DELIVERED, "delivered_at": PLACED + 3 * DAY, "shipped_at": PLACED + DAY}
    assert until(**delivered) == PLACED + 33 * DAY
    assert until(status=LineStatus.SHIPPED, shipped_at=PLACED + DAY) == PLACED + 31 * DAY
    assert until() == PLACED + 180 * DAY, "still to be shipped: the address is needed"
    assert until(status=LineStatus.CANCELED) == PLACED + 32 * DAY
    assert until(status=LineStatus.SHIPPED, shipped_at=PLACED + 170 * DAY) == PLACED + 180 * DAY
    half = (line(1, **delivered), line(2))
    assert facts.purge_at(order(lines=half)) == PLACED + 180 * DAY, "the second parcel is not on its way yet"


def test_a_buyer_whose_day_has_passed_is_not_stored_at_all(shop: Shop) -> None:
    late = order(lines=(line(status=LineStatus.DELIVERED, delivered_at=PLACED),))
    ingest(shop.account, [late], now=PLACED + 40 * DAY)
    contact = BuyerContact.objects.get()
    assert (contact.contact, contact.country) == (None, "DE")


def test_a_document_goes_with_the_first_of_its_buyers(shop: Shop) -> None:
    document = make(RawDocument, account_id=shop.account.pk, flow="orders", purge_at=NOW + 30 * DAY)
    soon = order(1, lines=(line(status=LineStatus.SHIPPED, shipped_at=PLACED),))
    ingest(shop.account, [soon, order(2)], now=NOW, raw_id=document.pk)
    document.refresh_from_db()
    assert document.purge_at == PLACED + 30 * DAY
    buyers.erase(BuyerContact.objects.filter(order__external_id="O1"), reason="asked by letter", now=NOW)
    again = make(RawDocument, account_id=shop.account.pk, flow="orders", purge_at=NOW + 30 * DAY)
    ingest(shop.account, [replace(soon, updated_at=soon.updated_at + DAY)], now=NOW, raw_id=again.pk)
    again.refresh_from_db()
    assert again.purge_at == NOW, "who was erased comes again in another page: it goes in the next night"
    assert BuyerContact.objects.get(order__external_id="O1").contact is None


def test_a_document_goes_in_time_also_where_its_orders_bring_nothing_new(shop: Shop) -> None:
    """Read again whole pages bring orders as they are stored, older than stored, and of people who are gone."""
    soon = order(1, hour=1, lines=(line(status=LineStatus.SHIPPED, shipped_at=PLACED),))
    late = order(2)
    ingest(shop.account, [soon, late], now=NOW)

    def due(*records: OrderRecord) -> datetime:
        document = make(RawDocument, account_id=shop.account.pk, flow="orders", purge_at=NOW + 60 * DAY)
        ingest(shop.account, records, now=NOW, raw_id=document.pk)
        document.refresh_from_db()
        assert document.purge_at is not None
        return document.purge_at

    assert due(soon, late) == PLACED + 30 * DAY, "stored already"
    assert due(soon, replace(late, updated_at=late.updated_at + DAY)) == PLACED + 30 * DAY, "one of them is"
    assert due(order(1, hour=0)) == PLACED + 30 * DAY, "older than what is stored, and its parcel had not left yet"
    buyers.erase(BuyerContact.objects.filter(order__external_id="O1"), reason="asked by letter", now=NOW)
    assert due(soon, late) == NOW, "stored already, and its buyer was erased"
    assert due(order(1, hour=0)) == NOW, "older, and its buyer was erased"


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def contact(shop: Shop) -> BuyerContact:
    """Marlene, in two orders, beside Otto in one."""
    ingest(shop.account, [order(1), order(2), order(3, buyer=OTHER)], now=NOW)
    return BuyerContact.objects.get(order__external_id="O1")


def test_whoever_looks_says_why_and_it_is_written_down_first(contact: BuyerContact) -> None:
    for reason in ("", "why", "        x       "):
        with pytest.raises(NoReason):
            buyers.reveal(contact, reason=reason, now=NOW)
    assert not PiiAccess.objects.exists()
    found = buyers.reveal(contact, reason="Marlene Moritz wrote from m.moritz@example.com", now=NOW)
    assert found["street"] == BUYER.street
    seen = PiiAccess.objects.get()
    assert (seen.actor, seen.model, seen.row, seen.label) == ("test", "orders.BuyerContact", contact.pk, "O1")
    assert seen.fields == sorted(found) and seen.reason == "‹erased› wrote from ‹erased›"
    assert AuditEntry.objects.filter(table="core_piiaccess", row=seen.pk).exists(), "the log is sealed with the audit"


def test_pages_mask_the_buyer_and_lead_to_the_form(contact: BuyerContact, client_dv: Any) -> None:
    staff, page = browser(client_dv, "ops"), f"/c/dom-ventas/orders/{contact.order_id}/"
    form = address("orders_buyercontact_reveal", contact.pk)
    for at in (
        page,
        address("orders_buyercontact_changelist"),
        address("orders_buyercontact_change", contact.pk),
        form,
    ):
        shown = staff.get(at).content.decode()
        assert not [word for word in WORDS if word in shown.casefold()], at
    assert form in staff.get(page).content.decode()
    for role in ("finance", "admin", "auditor"):
        who = browser(client_dv, role)
        assert form not in who.get(page).content.decode()
        assert who.post(form, {"reason": "parcel came back", **FORM}).status_code == 403
    shown = staff.post(form, {"reason": "parcel came back", **FORM}).content.decode()
    assert "Am Sandtor 7" in shown
    with acting_for(client_dv):
        assert PiiAccess.objects.get().actor == "ops@example.com"


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("orders_buyercontact", "contact__startswith=a"),
        ("orders_order", "buyer_contacts__contact__contains=a"),
        ("orders_orderline", "order__buyer_contacts__contact__isnull=0"),
    ],
)
def test_nobody_guesses_a_buyer_through_the_address(shop: Shop, client_dv: Any, model: str, lookup: str) -> None:
    answer = browser(client_dv, "ops").get(f"{address(f'{model}_changelist')}?{lookup}")
    assert answer.status_code == 400 or "e=1" in answer.headers.get("Location", "")


# ── erasing ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def everywhere(shop: Shop) -> None:
    """Marlene in every kind of place, Otto beside her in most."""
    stream = make(Stream, account=shop.account, flow="orders", last_error="No answer about Marlene Moritz.")
    rejected = [
        Rejected(
            path=f"orders[{n}]", reason=f"{who} has no street", excerpt=f'{{"n": "{who}"}}'.encode(), external_id=ref
        )
        for n, (who, ref) in enumerate((("Marlene Moritz", "O1"), ("Otto Ocker", "O3")))
    ]
    quarantine.put(stream, rejected, raw_id=None, now=NOW)
    make(SyncWindow, stream=stream, error="m.moritz@example.com bounced")
    make(Ticket, title="Ask MARLENE MORITZ about her parcel", account=None)
    make(TicketEvent, detail="Lives Am Sandtor 7, rings twice")
    make(Finding, facts={"note": 'Marlene Moritz "again"'}, account=None)
    discrepancy = make(Discrepancy, note="x")
    Discrepancy.objects.filter(pk=discrepancy.pk).update(note="Marlene Moritz paid twice")
    with connection.cursor() as cursor:  # what the audit holds of a change in somebody's note
        cursor.execute("UPDATE marketplaces_account SET status_note = 'Marlene Moritz complains'")
        cursor.execute("UPDATE marketplaces_account SET status_note = ''")


def stands_in_the_tables() -> set[str]:
    """Tables in which one of Marlene's words can be read plainly."""
    found = set()
    with connection.cursor() as cursor:
        for model in walled_models():
            cursor.execute(f"SELECT coalesce(string_agg(lower(t::text), ''), '') FROM \"{model._meta.db_table}\" t")
            text = cursor.fetchone()[0]
            if any(word in text for word in WORDS):
                found.add(model._meta.db_table)
    return found


def test_a_person_is_erased_from_everywhere_with_a_proof_that_names_nobody(shop: Shop, contact: BuyerContact) -> None:
    everywhere(shop)
    assert {"tickets_ticket", "tickets_finding", "core_auditentry", "finance_discrepancy"} <= stands_in_the_tables()
    with pytest.raises(NoReason):
        buyers.erase([contact], reason="x", now=NOW)
    proof = buyers.erase([contact], reason="letter of Marlene Moritz of 3 November", now=NOW)
    assert stands_in_the_tables() == set()
    assert proof.orders == ["O1", "O2"], "the same person's other orders, too"
    assert proof.reason == "letter of ‹erased› of 3 November" and proof.actor == "test"
    assert {"name", "email", "street", "city"} <= set(proof.fields)
    assert proof.places["orders_buyercontact.contact"] == 2 and proof.places["quarantine"] == 1
    assert {"core_auditentry", "tickets_ticket.title", "tickets_finding.facts"} <= set(proof.places)
    assert [row.contact["name"] for row in BuyerContact.objects.filter(purged_at=None)] == ["Otto Ocker"]
    assert buyers.erase(BuyerContact.objects.all()[:0], reason="nobody at all", now=NOW).places == {
        "orders_buyercontact.contact": 0
    }


def test_documents_of_an_erased_person_are_blanked_and_the_others_stay(shop: Shop, contact: BuyerContact) -> None:
    kept = []
    for who, ref in ((BUYER, "O1"), (OTHER, "O3"), (replace(BUYER, name="Märlene Möritz", email=""), "X9")):
        body = f'{{"orders": [{{"orderId": "{ref}", "buyer": {{"buyerName": "{who.name}", "to": "{who.street}"}}}}]}}'
        packed = raw._packed(body.encode(), client=shop.account.client_id)
        kept.append(
            make(RawDocument, account_id=shop.account.pk, flow="orders", body=packed, is_encrypted=True, name=ref)
        )
    proof = buyers.erase([contact], reason="asked by letter", now=NOW)
    blanked = set(RawDocument.objects.exclude(redacted_at=None).values_list("name", flat=True))
    assert blanked == {"O1", "X9"} and proof.places["raw documents"] == 2
    kept[0].refresh_from_db()
    assert b"Marlene" not in body_of(kept[0]) and b"O1" in body_of(kept[0])


def test_what_a_law_demands_stays_and_the_proof_says_so(shop: Shop, contact: BuyerContact) -> None:
    with pytest.raises(Refused):
        buyers.hold([contact], until=NOW, reason="dispute 17 before court", now=NOW)
    assert buyers.hold([contact], until=NOW + 400 * DAY, reason="dispute of Marlene Moritz", now=NOW) == 1
    proof = buyers.erase([contact], reason="asked by letter", now=NOW)
    assert proof.orders == ["O2"]
    [kept] = proof.kept
    assert (kept["order"], kept["reason"]) == ("O1", "dispute of ‹erased›")
    contact.refresh_from_db()
    assert contact.contact["name"] == BUYER.name
    assert buyers.purge(now=PLACED + 181 * DAY) == 1, "Otto only"
    assert buyers.release([contact]) == 1
    assert buyers.purge(now=PLACED + 181 * DAY) == 1
    assert AuditEntry.objects.filter(table="orders_buyercontact", actor="test").count() >= 4


def test_on_their_day_buyers_go_from_texts_and_audit_too(shop: Shop, contact: BuyerContact) -> None:
    everywhere(shop)
    assert buyers.purge(now=PLACED + 179 * DAY) == 0
    assert buyers.purge(now=PLACED + 181 * DAY) == 3
    assert stands_in_the_tables() == set()
    assert quarantine.purge(now=NOW + 29 * DAY) == 0
    assert quarantine.purge(now=NOW + 30 * DAY) == 2


def test_without_the_key_nobody_is_said_to_be_erased(shop: Shop, contact: BuyerContact, settings: Any) -> None:
    settings.KEYRING = [Fernet.generate_key().decode()]
    with pytest.raises(Unreadable):
        buyers.erase(BuyerContact.objects.all(), reason="asked by letter", now=NOW)
    assert not Erasure.objects.exists()
    assert buyers.purge(now=PLACED + 181 * DAY) == 3, "on its day it goes, readable or not"


def test_the_form_erases_and_shows_the_proof(contact: BuyerContact, client_dv: Any) -> None:
    staff = browser(client_dv, "ops")
    page = address("orders_buyercontact_erase", contact.pk)
    assert "cannot be undone" in staff.get(page).content.decode()
    assert staff.post(page, FORM).status_code == 200
    assert staff.post(page, {"reason": "letter of 3 November", **FORM}).status_code == 302
    with acting_for(client_dv):
        proof = Erasure.objects.get()
        assert (proof.actor, len(proof.orders)) == ("ops@example.com", 2)
    shown = browser(client_dv, "auditor").get(address("orders_erasure_change", proof.pk)).content.decode()
    assert "letter of 3 November" in shown and "O2" in shown
    assert browser(client_dv, "warehouse").post(page, {"reason": "for the fun of it", **FORM}).status_code == 403


def test_every_encrypted_column_of_bytes_has_somebody_who_takes_people_out() -> None:
    looked_after = {label for labels in traces.places().values() for label in labels}
    held = {
        model._meta.label
        for model in walled_models()
        for field in model._meta.concrete_fields
        if getattr(field, "encrypted", False) and field.get_internal_type() == "BinaryField"
    }
    assert held <= looked_after, f"no place takes people out of {held - looked_after}"


def test_product_words_are_nobodys_trace() -> None:
    tables = {column.table for column in traces.columns()}
    assert "catalog_product" not in tables and "orders_orderline" not in tables
    assert {"tickets_ticket", "core_taskrun", "marketplaces_stream", "orders_orderevent"} <= tables
