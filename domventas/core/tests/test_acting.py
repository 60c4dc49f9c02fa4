"""For whom we act: entering, leaving, failing, streaming, threads; the connection always says the same as we do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction

from domventas.core.models import Client, Threshold
from domventas.core.tenancy import (
    NoClient,
    acting_for,
    acting_for_all,
    current,
    current_or_none,
    isolated,
    keep,
    keep_stream,
    sync_all,
)  # fmt: skip
from domventas.core.tests.conftest import build

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def setting(name: str = "clients") -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [f"domventas.{name}"])
        return cursor.fetchone()[0] or ""


def fail() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1/0")


def test_blocks_nest_and_restore() -> None:
    with acting_for(1):
        assert setting() == "1"
        with acting_for(2, 3):
            assert setting() == "2,3"
        assert setting() == "1"
    assert setting() == ""
    assert current_or_none() is None


def test_actor_and_request_are_inherited_by_inner_blocks() -> None:
    with acting_for(1, actor="ines", request="r1"), acting_for(2):
        assert (setting("actor"), setting("request")) == ("ines", "r1")
    assert setting("actor") == ""


@pytest.mark.parametrize("raises", [True, False])
def test_commit_and_rollback_keep_the_outer_client(raises: bool) -> None:
    with acting_for(1):
        try:
            with transaction.atomic():
                with acting_for(2):
                    assert setting() == "2"
                    if raises:
                        raise KeyError
                assert setting() == "1"
        except KeyError:
            pass
        assert setting() == "1"


def test_the_first_statement_of_a_transaction_does_not_outlive_it() -> None:
    with transaction.atomic(), acting_for(2):
        pass  # the driver has not even sent BEGIN when the setting is put
    assert setting() == ""


def test_a_broken_savepoint_inside_restores_the_client() -> None:
    with acting_for(1), transaction.atomic():
        with pytest.raises(DatabaseError), transaction.atomic(), acting_for(2):
            fail()
        assert setting() == "1"
        with pytest.raises(DatabaseError), acting_for(2), transaction.atomic():
            fail()
        assert setting() == "1"
    assert setting() == ""


def test_a_broken_transaction_swallowed_inside_restores_the_client() -> None:
    with acting_for(1), transaction.atomic(), acting_for(2):
        try:
            fail()
        except DatabaseError:
            transaction.set_rollback(True)
    assert setting() == ""


def test_a_new_connection_gets_the_client_of_now() -> None:
    with acting_for(7):
        connection.close()
        assert setting() == "7"


def test_a_killed_connection_is_closed_rather_than_reused() -> None:
    with acting_for(7):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        with psycopg.connect(os.environ["DATABASE_SUPERUSER_URL"], autocommit=True) as root:
            root.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert setting() == ""


def test_the_end_of_a_request_puts_the_connection_in_line() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('domventas.clients', '9', false)")
    sync_all()
    assert setting() == ""


def test_a_stored_queryset_follows_the_client_and_asks_for_one() -> None:
    alba, corvo = build("alba"), build("corvo")
    limits = Threshold.objects.order_by("pk")
    with pytest.raises(NoClient):
        list(limits)
    with acting_for(alba.client):
        assert [row.code for row in limits.all()] == ["alba-margin"]
    with acting_for(corvo.client):
        assert [row.code for row in limits.all()] == ["corvo-margin"]


@pytest.mark.parametrize("explicit", [True, False])
def test_several_clients_may_be_read_but_not_written(explicit: bool) -> None:
    alba, corvo = build("alba"), build("corvo")
    with acting_for(alba.client, corvo.client):
        assert Threshold.objects.count() == 2
        whose = {"client": alba.client} if explicit else {}
        with pytest.raises(ProgrammingError):
            Threshold.objects.create(code="x", value=1, **whose)
        with pytest.raises(NoClient):
            Threshold.objects.filter(code="alba-margin").delete()
        with pytest.raises(NoClient):
            _ = current().one


def test_all_clients_are_for_a_closed_list_of_callers() -> None:
    alba, corvo = build("alba"), build("corvo")
    gone = Client.objects.create(slug="gone", name="Gone", active=False)
    with acting_for_all("relay") as acting:
        assert set(acting.clients) == {alba.client.pk, corvo.client.pk}
        assert gone.pk not in acting.clients
        assert setting("actor") == "relay"
    with pytest.raises(NoClient), acting_for_all("a page"):
        pass


def test_all_clients_of_an_empty_house_are_none() -> None:
    with acting_for_all("relay"):
        assert Threshold.objects.count() == 0


def test_callbacks_after_the_commit_keep_their_client() -> None:
    client = Client.objects.create(slug="x", name="X")
    seen: list[object] = []
    with transaction.atomic():
        with acting_for(client):
            transaction.on_commit(lambda: seen.append((current().one, Threshold.objects.count(), setting())))
        transaction.on_commit(lambda: seen.append(current_or_none()))
    assert seen == [(client.pk, 0, str(client.pk)), None]
    assert setting() == ""


def test_a_stream_runs_each_step_as_its_client_and_nobody_between() -> None:
    with acting_for(1):
        stream = keep_stream(current().one for _ in range(2))
    assert (next(stream), current_or_none()) == (1, None)
    with acting_for(9):
        assert (next(stream), current().one, setting()) == (1, 9, "9")


def test_a_suspended_generator_would_leak_its_client() -> None:
    def naive() -> Iterator[int]:
        with acting_for(5):
            yield 1

    with acting_for(1):
        rows = naive()
        next(rows)
        assert current().one == 5  # which is why streams go through keep_stream
        rows.close()


def test_an_isolated_body_cannot_leak() -> None:
    isolated(lambda: acting_for(5).__enter__())
    sync_all()
    assert current_or_none() is None
    assert setting() == ""


def test_a_thread_starts_with_nobody_unless_kept() -> None:
    seen: list[object] = []
    with acting_for(5):
        for target in (lambda: seen.append(current_or_none()), keep(lambda: seen.append(current().one))):
            thread = Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [None, 5]


def test_a_server_side_cursor_keeps_the_client_of_its_first_fetch() -> None:
    alba = build("alba")
    with acting_for(alba.client):
        Threshold.objects.create(code="second", value=2)
    with transaction.atomic():
        with acting_for(alba.client):
            rows = Threshold.objects.iterator(chunk_size=1)
            first = next(rows)
        assert {row.client_id for row in (first, *rows)} == {alba.client.pk}
