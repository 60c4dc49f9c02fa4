"""A job that reaches a server it can only read from waits for one it can write to, and that is nobody's failure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from domventas.core import tenancy
from domventas.core.jobs import firing, runner
from domventas.core.models import Client, TaskRun
from domventas.core.tests import jobs_for_tests

NOW = datetime(2026, 11, 20, 6, 2, 30, tzinfo=UTC)
pytestmark = pytest.mark.db


def test_a_server_that_only_reads_is_left_for_another_and_costs_no_retry(transactional_db: None) -> None:
    assert jobs_for_tests.STEPS  # imported for its declarations
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with tenancy.acting_for(client, actor="test"):
        assert firing.fire("test.readonly", now=NOW) == 1
        run = TaskRun.objects.get()
        assert runner.execute(run.task, run.client_id, run.pk) == "queued"
        run.refresh_from_db()
        assert (run.errors, run.attempt) == (0, 1)
        assert run.note.startswith("A server went away")
        with connection.cursor() as cursor:
            cursor.execute("SHOW default_transaction_read_only")
            assert cursor.fetchone() == ("off",), "the connection is another"
        TaskRun.objects.update(not_before=None)
        runner.execute(run.task, run.client_id, run.pk)
        run.refresh_from_db()
        assert (run.state, run.errors) == ("done", 0)
