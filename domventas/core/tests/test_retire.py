"""Months of the audit go when their time is over, and what is left of the chain still proves itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import ProgrammingError, connection, connections, transaction

from domventas.core import partitions, retention
from domventas.core.audit import seals
from domventas.core.models import AuditAnchor, AuditEntry, AuditSeal, Client, Threshold
from domventas.core.tenancy import acting_for

NOW = datetime(2026, 11, 25, 4, 20, tzinfo=UTC)
OLD, OLDER, KEPT = date(2025, 9, 30), date(2025, 8, 31), date(2025, 10, 1)
pytestmark = [pytest.mark.alone, pytest.mark.db, pytest.mark.django_db(transaction=True, databases=["default", "ops"])]


def as_ops(sql: str, *parameters: object) -> None:
    """What somebody with the keys of the database may do."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(sql, parameters or None)


def write(*days: date) -> None:
    """One entry on each of these days, in one seal; the trigger knows only today, so ops turns back its clock."""
    first = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    for day in days:
        Threshold.objects.create(code=f"{day}-{Threshold.objects.count()}", value=1)
    entries = list(AuditEntry.objects.filter(pk__gt=first).order_by("pk").values_list("pk", flat=True))
    partitions.ensure(AuditEntry, days)
    for pk, day in zip(entries, days, strict=True):
        as_ops("UPDATE core_auditentry SET day = %s, at = %s WHERE id = %s", day, day, pk)
    assert seals.seal(now=datetime(2025, 9, 30, tzinfo=UTC)) == len(days)


@pytest.fixture
def houses() -> Iterator[list[Client]]:
    """Two clients with a chain from August 2025 to today; one seal holds entries of both sides of a month's end."""
    clients = [Client.objects.create(slug=slug, name=slug) for slug in ("dom-ventas", "other-house")]
    for client in clients:
        with acting_for(client, actor="ines@example.com"):
            write(OLDER, OLDER)
            write(OLD)
            write(OLD, KEPT, OLD)
            write(date(2026, 11, 24))
    with acting_for(clients[0]):
        yield clients
    for month in (OLDER, OLD, KEPT):
        partitions.drop(AuditEntry, month)


def problems() -> list[tuple[int, int, str]]:
    return [(x.seal, x.entry, x.kind) for x in seals.verify(now=NOW).problems]


def test_what_is_over_its_time_goes_and_the_chain_proves_where_it_begins(houses: list[Client]) -> None:
    head = seals.verify(now=NOW).head
    assert retention.drop_months(now=NOW) == ["core.AuditEntry 2025-08", "core.AuditEntry 2025-09"]
    for client in houses:
        with acting_for(client):
            done = seals.verify(now=NOW + timedelta(days=30))
            assert (done.problems, done.seals, done.retired, done.entries) == ([], 2, 2, 2)
            assert {entry.day for entry in AuditEntry.objects.all()} == {KEPT, date(2026, 11, 24)}
            assert AuditSeal.objects.count() == 2
    assert seals.verify(now=NOW, expect=head).problems == [], "a head noted before is still in the chain"
    assert retention.drop_months(now=NOW) == []
    write(date(2026, 11, 25))
    assert problems() == []


def test_the_next_month_goes_from_there_even_when_nothing_was_written_since(houses: list[Client]) -> None:
    retention.drop_months(now=NOW)
    assert retention.drop_months(now=NOW + timedelta(days=30)) == ["core.AuditEntry 2025-10"]
    assert (problems(), seals.verify(now=NOW).entries) == ([], 1)
    later = NOW + timedelta(days=800)
    assert "core.AuditEntry 2026-11" in retention.drop_months(now=later)
    done = seals.verify(now=later + timedelta(days=30))
    assert (done.problems, done.seals, done.entries) == ([], 1, 0), "the newest seal stays for the next to follow"
    Threshold.objects.create(code="again", value=1)
    assert seals.seal(now=later) == 1
    assert problems() == []


TAMPERED = (
    ("UPDATE core_auditentry SET actor = 'somebody' WHERE day = '2025-10-01'", "changed"),
    ("DELETE FROM core_auditentry WHERE day = '2025-10-01'", "missing"),
    ("DELETE FROM core_auditanchor", "chain"),
    ("UPDATE core_auditanchor SET gone = gone || (SELECT max(id) FROM core_auditentry)", "forged"),
    ("UPDATE core_auditanchor SET kept_from = kept_from + 31", "forged"),
    ("DELETE FROM core_auditseal WHERE number = 3", "chain"),
)


@pytest.mark.parametrize(("sql", "kind"), TAMPERED)
def test_tampering_is_still_noticed_after_the_drop(houses: list[Client], sql: str, kind: str) -> None:
    retention.drop_months(now=NOW)
    as_ops(sql)
    assert kind in {found for _, _, found in problems()}


def test_nobody_can_cut_the_chain_short_and_call_it_retention(houses: list[Client]) -> None:
    """He deletes what shames him and all before it, and writes an anchor with the stamp of the last seal that went."""
    as_ops(
        "INSERT INTO core_auditanchor (client_id, number, last_id, digest, kept_from, gone, made_at, stamp)"
        " SELECT client_id, number, last_id, digest, '2025-10-01', '{}', now(), stamp FROM core_auditseal"
        " WHERE number = 2"
    )
    as_ops("DELETE FROM core_auditseal WHERE number <= 2")
    as_ops("DELETE FROM core_auditentry WHERE day < '2025-10-01'")
    assert (2, 0, "forged") in problems()


def test_another_clients_anchor_vouches_for_nothing(houses: list[Client]) -> None:
    retention.drop_months(now=NOW)
    as_ops("UPDATE core_auditanchor a SET stamp = b.stamp FROM core_auditanchor b WHERE a.client_id <> b.client_id")
    assert problems() == [(2, 0, "forged")]


def test_an_entry_put_into_a_month_that_went_is_found(houses: list[Client]) -> None:
    retention.drop_months(now=NOW)
    partitions.ensure(AuditEntry, [OLD])
    for number, day in ((-5, OLD), (-6, KEPT)):
        as_ops(
            'INSERT INTO core_auditentry (id, client_id, day, at, "table", "row", actor, request, salt)'
            " VALUES (%s, %s, %s, now(), 'x', 1, '', '', '')", number, houses[0].pk, day,
        )  # fmt: skip
    found = seals.verify(now=NOW + timedelta(days=8)).problems
    assert {(x.entry, x.kind) for x in found} == {(-5, "inserted"), (-6, "inserted")}


def test_a_month_stays_with_everything_around_it_when_one_chain_was_touched(houses: list[Client]) -> None:
    with acting_for(houses[1]):
        touched = AuditEntry.objects.filter(day=OLDER).first()
        as_ops("UPDATE core_auditentry SET actor = 'somebody' WHERE id = %s", touched.pk if touched else 0)
    assert retention.drop_months(now=NOW) == []
    assert (AuditSeal.objects.count(), AuditAnchor.objects.count()) == (4, 0)


def test_the_application_can_neither_change_nor_remove_an_anchor(houses: list[Client]) -> None:
    retention.drop_months(now=NOW)
    for attack in ("DELETE FROM core_auditanchor", "UPDATE core_auditanchor SET gone = '{}'"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(attack)
