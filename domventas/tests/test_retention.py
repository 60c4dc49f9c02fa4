"""What is over its time goes and nothing else does, for every table that says how long its rows are kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, models

from domventas.core import partitions, retention
from domventas.core.models import AuditEntry, Client, ClientModel, Firing, TaskRun
from domventas.core.tasks import PER_HOUSE
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import OutboxAttempt, OutboxCommand, RawDocument
from tickets.models import DetectorRun

NOW = datetime(2026, 11, 25, 3, 50, tzinfo=UTC)
DAY = timedelta(days=1)
#: What a row must be like to go at all; and a row of that age that stays for good.
MAY_GO = {"core.TaskRun": {"state": "done"}, "marketplaces.InboundEvent": {"state": "done"}}
STAYS = {"core.TaskRun": {"state": "quarantined"}, "marketplaces.InboundEvent": {"state": "waiting"}}
OURS = [model for model in retention.governed() if issubclass(model, ClientModel)]


@pytest.fixture
def houses(db: None) -> list[Client]:
    """Two clients."""
    return [Client.objects.create(slug=slug, name=slug) for slug in ("dom-ventas", "other-house")]


def row(model: type[models.Model], age: timedelta, **given: Any) -> int:
    """A row of this age, that may go."""
    kept = retention.kept_of(model)
    assert kept
    values = {**MAY_GO.get(model._meta.label, {}), **given}
    parent, _, since = kept.since.rpartition("__")
    if parent:
        target: Any = model._meta.get_field(parent).related_model
        values[parent] = make(target, **{since: NOW - age})
    else:
        values[since] = NOW - age
    return make(model, **values).pk


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_rows_beyond_their_time_go_and_those_within_stay(model: type[ClientModel], houses: list[Client]) -> None:
    limit = timedelta(days=retention.days_of(model))
    stay: dict[int, set[int]] = {}
    for client in houses:
        with acting_for(client):
            same = dict.fromkeys(retention.kept_of(model).but_newest_per, "same")  # type: ignore[union-attr]
            for age in (limit + DAY, limit + 300 * DAY):
                row(model, age, **same)
            stay[client.pk] = {row(model, limit - DAY, **same), row(model, timedelta(0), **same)}
            if model._meta.label in STAYS:
                stay[client.pk].add(row(model, limit + 300 * DAY, **STAYS[model._meta.label]))
    for client in houses:
        with acting_for(client):
            done = retention.forget(now=NOW)
            assert done[model._meta.label] == 2
            assert set(model.objects.values_list("pk", flat=True)) == stay[client.pk]
            assert retention.forget(now=NOW)[model._meta.label] == 0


def test_the_newest_of_its_kind_stays_however_old(houses: list[Client]) -> None:
    with acting_for(houses[0]):
        stay = [row(DetectorRun, 300 * DAY, type="yearly"), row(DetectorRun, 91 * DAY, type="other")]
        row(DetectorRun, 301 * DAY, type="yearly")
        retention.forget(now=NOW)
        assert sorted(DetectorRun.objects.values_list("pk", flat=True)) == stay


def test_many_rows_go_in_batches_each_in_a_step_of_its_own(houses: list[Client], monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    steps: list[int] = []

    def step() -> Any:
        steps.append(1)
        return connection.cursor()  # any context will do: the test stands in a transaction already

    with acting_for(houses[0]):
        for _ in range(7):
            row(TaskRun, 61 * DAY)
        assert retention.forget(now=NOW, step=step)["core.TaskRun"] == 7
    assert len(steps) == len(OURS) + 2


def test_calls_go_before_the_command_they_were_made_for(houses: list[Client]) -> None:
    with acting_for(houses[0]):
        row(OutboxAttempt, 401 * DAY)
        make(OutboxAttempt, command=make(OutboxCommand, settled_at=None), started_at=NOW - 500 * DAY)
        done = retention.forget(now=NOW)
        connection.check_constraints()
        assert (done["marketplaces.OutboxAttempt"], done["marketplaces.OutboxCommand"]) == (1, 1)
        assert OutboxAttempt.objects.count() == OutboxCommand.objects.count() == 1, "what is open stays"


def test_slots_and_sign_ins_of_nobody_in_particular_go_too(houses: list[Client]) -> None:
    for task in ("often", "rare"):
        Firing.objects.create(task=task, slot=NOW - 40 * DAY, fired_at=NOW)
    Firing.objects.create(task="often", slot=NOW - DAY, fired_at=NOW)
    Session.objects.create(session_key="old", session_data="", expire_date=NOW - DAY)
    Session.objects.create(session_key="new", session_data="", expire_date=NOW + DAY)
    assert retention.forget_shared(now=NOW) == {"core.Firing": 1, "sessions.Session": 1}
    assert set(Firing.objects.values_list("task", "slot")) == {("rare", NOW - 40 * DAY), ("often", NOW - DAY)}
    with acting_for(houses[0]):
        assert PER_HOUSE.members("") == [0]
    with acting_for(houses[1]):
        assert PER_HOUSE.members("") == []


def test_the_settings_may_keep_longer_and_never_shorter(settings: Any) -> None:
    settings.KEPT_DAYS = {"core.AuditEntry": "4018", "core.TaskRun": "1"}
    assert (retention.days_of(AuditEntry), retention.days_of(TaskRun)) == (4018, 60)


@pytest.mark.alone
@pytest.mark.django_db(transaction=True, databases=["default", "ops"])
def test_months_of_raw_documents_go_whole_when_the_law_is_done_with_them() -> None:
    with acting_for(Client.objects.create(slug="dom-ventas", name="Dom Ventas")):
        for day in (date(2015, 10, 31), date(2015, 11, 1), date(2015, 11, 30), date(2026, 11, 1)):
            make(RawDocument, fetched_on=day, body=b"x")
        assert retention.drop_months(now=datetime(2026, 10, 31, tzinfo=UTC)) == []
        assert retention.drop_months(now=NOW) == ["marketplaces.RawDocument 2015-10"]
        assert RawDocument.objects.count() == 3
        partitions.drop(RawDocument, date(2015, 11, 1))
