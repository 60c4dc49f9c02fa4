"""Whoever touches the audit is found out, whatever role he holds; and a person may be erased without breaking it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, connections, transaction

from domventas.core.audit import redact, seals
from domventas.core.models import AuditEntry, AuditSeal, Client, Threshold
from domventas.core.tenancy import acting_for

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# A transaction under way in any database of the server keeps a seal waiting.
pytestmark = [pytest.mark.alone, pytest.mark.db, pytest.mark.django_db(transaction=True, databases=["default", "ops"])]


@pytest.fixture
def house() -> Iterator[Client]:
    """A client with three sealed minutes of audit, two entries each."""
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with acting_for(client, actor="ines@example.com", request="r1"):
        for n in range(3):
            Threshold.objects.create(code=f"limit-{n}", value="1.5")
            Threshold.objects.filter(code=f"limit-{n}").update(value="2.25")
            assert seals.seal(now=NOW + timedelta(minutes=n)) == 2
        yield client


def as_ops(sql: str, *parameters: object) -> None:
    """What somebody with the keys of the database may do."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(sql, parameters or None)


def problems() -> list[tuple[int, int, str]]:
    return [(x.seal, x.entry, x.kind) for x in seals.verify(now=NOW).problems]


def ids() -> list[int]:
    return list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))


def test_an_untouched_chain_is_whole_and_sealing_again_adds_nothing(house: Client) -> None:
    assert seals.seal(now=NOW) == 0
    with pytest.raises(RuntimeError), transaction.atomic():
        seals.seal(now=NOW)  # whose own entries would never become final
    done = seals.verify(now=NOW)
    assert (done.problems, done.seals, done.entries, done.unsealed) == ([], 3, 6, 0)
    assert done.head.startswith("3:")


CHANGES = (
    "UPDATE core_auditentry SET actor = 'somebody else' WHERE id = %s",
    "UPDATE core_auditentry SET after = jsonb_set(after, '{value}', '2.250000001') WHERE id = %s",
    "UPDATE core_auditentry SET at = at - interval '1 hour' WHERE id = %s",
    "UPDATE core_auditentry SET after = after - 'code' WHERE id = %s",
    "UPDATE core_auditentry SET before = '{}' WHERE id = %s",
    "UPDATE core_auditentry SET salt = md5('x') WHERE id = %s",
)


def test_an_entry_changed_in_any_way_is_found(house: Client) -> None:
    entries = ids()
    for n, (sql, entry) in enumerate(zip(CHANGES, entries, strict=True)):
        as_ops(sql, entry)
        assert problems()[n:] == [(n // 2 + 1, entry, "changed")], sql


def test_one_entry_put_in_is_found_though_it_fills_a_gap(house: Client) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Threshold.objects.create(code="rolled back", value=1)
        raise ZeroDivisionError
    gap = ids()[-1] + 1
    Threshold.objects.create(code="after the gap", value=1)
    seals.seal(now=NOW)
    assert problems() == [], "a gap in the ids means nothing"
    as_ops(
        'INSERT INTO core_auditentry (id, client_id, day, at, "table", "row", after, actor, request, salt)'
        " SELECT %s, client_id, day, at, \"table\", \"row\", after, 'nobody', request, salt FROM core_auditentry"
        " WHERE id = %s",
        gap, ids()[0],
    )  # fmt: skip
    assert problems() == [(4, gap, "inserted")]


def test_an_entry_deleted_or_moved_to_another_client_is_found(house: Client) -> None:
    other = Client.objects.create(slug="other", name="Other")
    moved, gone = ids()[0], ids()[5]
    as_ops("UPDATE core_auditentry SET client_id = %s WHERE id = %s", other.pk, moved)
    as_ops("DELETE FROM core_auditentry WHERE id = %s", gone)
    assert problems() == [(1, moved, "missing"), (3, gone, "missing")]


def test_a_forger_who_rewrites_the_seals_lacks_the_key(house: Client) -> None:
    """He recomputes marks, digests and the rest of the chain; only the stamps are beyond him."""
    entry = ids()[4]
    as_ops("UPDATE core_auditentry SET actor = 'somebody else' WHERE id = %s", entry)
    from domventas.core.audit import marks

    one = AuditSeal.objects.get(number=3)
    fresh = [
        f"{x.row.pk}:{x.mark}" for x in marks.entries(AuditEntry.objects.filter(pk__gt=one.first_id).order_by("pk"))
    ]
    before = AuditSeal.objects.get(number=2).digest
    as_ops(
        "UPDATE core_auditseal SET marks = %s, digest = %s WHERE number = 3", fresh, seals.digest_of(3, before, fresh)
    )
    assert problems() == [(3, 0, "forged")]
    as_ops("UPDATE core_auditseal SET stamp = (SELECT stamp FROM core_auditseal WHERE number = 2) WHERE number = 3")
    assert problems() == [(3, 0, "forged")]


def test_a_seal_taken_out_or_cut_off_is_found(house: Client) -> None:
    head = seals.verify(now=NOW).head
    entries = ids()
    as_ops("DELETE FROM core_auditseal WHERE number = 3")
    as_ops("DELETE FROM core_auditentry WHERE id = ANY(%s)", entries[4:])
    assert problems() == [], "an end cut off whole is known only to who has noted the head"
    assert [x.kind for x in seals.verify(now=NOW, expect=head).problems] == ["head"]
    as_ops("DELETE FROM core_auditseal WHERE number = 1")
    assert (2, 0, "chain") in problems() and (2, 0, "seal") in problems()


def test_the_application_can_neither_change_nor_remove_a_seal(house: Client) -> None:
    for attack in (lambda rows: rows.delete(), lambda rows: rows.update(count=0)):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            attack(AuditSeal.objects.all())


def test_what_another_transaction_still_writes_is_sealed_when_it_has_ended(house: Client) -> None:
    """A late commit with a lower id is no forgery: a seal never goes past what may still come."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with acting_for(house, actor="slow"), transaction.atomic():
                Threshold.objects.create(code="slow", value=1)
                begun.set()
                go_on.wait(10)
        finally:
            connection.close()

    other = threading.Thread(target=slow)
    other.start()
    assert begun.wait(10)
    Threshold.objects.create(code="quick", value=1)
    assert seals.seal(now=NOW) == 0, "the slow one's entry has a lower id and is not there yet"
    assert seals.seal(now=NOW) == 0
    go_on.set()
    other.join()
    assert seals.seal(now=NOW) == 2
    assert problems() == []
    actors = AuditEntry.objects.order_by("pk").values_list("actor", flat=True)
    assert list(actors)[-2:] == ["slow", "ines@example.com"]


def test_a_steady_stream_of_writers_does_not_keep_the_seal_waiting_for_ever(house: Client) -> None:
    """Somebody is always in the middle of something; the seal follows one round behind."""
    with connections["ops"].cursor() as cursor:
        for n in range(3):
            Threshold.objects.create(code=f"round-{n}", value=1)
            cursor.execute("BEGIN; SELECT pg_current_xact_id()")  # under way while the seal is made
            sealed = seals.seal(now=NOW)
            cursor.execute("COMMIT")
            assert sealed == (0 if n == 0 else 1)
    assert problems() == []


def test_a_person_is_erased_and_the_chain_still_holds(house: Client) -> None:
    Threshold.objects.filter(code="limit-0").update(scope_ref="Marlene Moritz, Am Sandtor 7")
    Threshold.objects.filter(code="limit-0").update(scope_ref="")
    seals.seal(now=NOW)
    assert redact.redact(["marlene moritz"], why="request 17") == 2
    assert redact.redact(["marlene moritz"], why="request 17") == 0
    seals.seal(now=NOW)
    assert problems() == []
    entry = AuditEntry.objects.filter(redaction__isnull=False).first()
    assert entry and entry.before and entry.before["scope_ref"] == "‹erased›" and entry.before["code"] == "limit-0"
    assert entry.salt == "" and set(entry.redaction["before.scope_ref"]) == {"hash"}
    told = AuditEntry.objects.filter(table="core_auditentry").first()
    assert told and told.actor == "ines@example.com" and told.after["reason"] == "request 17"
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, '') FROM core_auditentry e")
        assert "Moritz" not in cursor.fetchone()[0]
    # what is left of the entry is still held by its seal
    as_ops("UPDATE core_auditentry SET before = jsonb_set(before, '{code}', '\"x\"') WHERE id = %s", entry.pk)
    assert [kind for *_, kind in problems()] == ["changed"]


def test_a_name_is_erased_whatever_its_letters(house: Client) -> None:
    for name in ("Jürgen Weiß", "ÖZGÜR GROß", 'Ann "Nan" Bell'):
        Threshold.objects.filter(code="limit-0").update(scope_ref=name)
        assert redact.redact([name], why="request 18") >= 1, name
        with connection.cursor() as cursor:
            cursor.execute("SELECT string_agg(coalesce(before ->> 'scope_ref', '') || (after ->> 'scope_ref'), '')"
                           " FROM core_auditentry WHERE \"table\" = 'core_threshold'")  # fmt: skip
            assert name not in cursor.fetchone()[0]
        Threshold.objects.filter(code="limit-0").update(scope_ref="")
        redact.redact([name], why="request 18")


def test_a_value_hidden_without_a_record_is_found(house: Client) -> None:
    """Somebody with the database's keys uses the form of an erasure to hide what he did."""
    from domventas.core.audit import marks

    entry = next(iter(marks.entries(AuditEntry.objects.filter(pk=ids()[3]))))
    as_ops(
        "UPDATE core_auditentry SET after = jsonb_set(after, '{value}', '\"‹erased›\"'), salt = '', redaction = %s"
        " WHERE id = %s",
        json.dumps(entry.redacted(["after.value"])), entry.row.pk,
    )  # fmt: skip
    assert problems() == [(2, entry.row.pk, "erased")]


def test_nobody_erases_in_another_clients_audit(house: Client) -> None:
    other = Client.objects.create(slug="other", name="Other")
    with acting_for(other, actor="x"):
        assert redact.redact(["limit-0"], why="x") == 0
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT core_redact_audit(%s, current_date, ARRAY['after.code'], '{}', 'x')", [ids_of(house)[0]]
            )
            assert cursor.fetchone() == (False,)
    assert problems() == []


def ids_of(client: Client) -> list[int]:
    with acting_for(client):
        return ids()


def test_the_command_names_what_was_touched_first(house: Client, settings: Any) -> None:
    out = StringIO()
    call_command("verify_audit", json=True, stdout=out)
    [told] = json.loads(out.getvalue())["clients"]
    assert (told["client"], told["entries"], told["problems"]) == ("dom-ventas", 6, [])
    call_command("verify_audit", client="dom-ventas", expect=told["head"], stdout=StringIO())
    entry = ids()[0]
    as_ops("UPDATE core_auditentry SET actor = '' WHERE id = %s", entry)
    with pytest.raises(CommandError, match=f"dom-ventas: Entry {entry} was changed after seal 1"):
        call_command("verify_audit", stdout=StringIO())
    settings.KEYRING = [Fernet.generate_key().decode()]
    assert (3, 0, "forged") in problems(), "without the key nothing vouches for a seal"
