"""Retention: what has been kept long enough goes, by what each model says of itself (`kept_for`).

Ordinary tables lose rows in bounded batches, each one statement and one transaction. Tables partitioned by month lose
whole months, of all clients at once and as ops; what has to be noted of a month before it goes (the audit's chain) is
done by those who have registered for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, Final, Protocol

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction

from domventas.core import partitions
from domventas.core.errors import DomventasError
from domventas.core.models import ClientModel, Kept

#: Rows deleted in one transaction at most.
BATCH: Final = 5000

Step = Callable[[], AbstractContextManager[None]]


class NeedsOps(DomventasError):
    """Months are over their time, and this process may not drop them."""

    message = (
        "Whole months are over their time and cannot be dropped: the worker of the queue bulk lacks DATABASE_OPS_URL."
    )


class Readied(Protocol):
    """Called before months of a table go, with the first day that stays; False = they have to stay for now."""

    def __call__(self, first_kept: date, *, now: datetime) -> bool: ...


BEFORE_MONTHS_GO: Final[dict[type[models.Model], Readied]] = {}


def forget(*, now: datetime, step: Step = transaction.atomic) -> dict[str, int]:
    """Delete the acting client's rows that are over their time; returns how many, by model.

    Args:
        step: opens the transaction of a batch; a job puts its own.
    """
    return _forget([model for model in governed() if issubclass(model, ClientModel)], now, step)


def forget_shared(*, now: datetime, step: Step = transaction.atomic) -> dict[str, int]:
    """The same for the tables of no client, and for sign-ins that have ended."""
    done = _forget([model for model in governed() if not issubclass(model, ClientModel)], now, step)
    with step():
        ended = Session.objects.filter(expire_date__lt=now)
        done["sessions.Session"] = ended._raw_delete("default")
    return done


def drop_months(*, now: datetime) -> list[str]:
    """Drop the months of partitioned tables in which every row is over its time; returns what went, in words.

    A month that may not go stays and is tried again next time.
    Raises: NeedsOps: something has to go, and nobody gave us the rights.
    """
    gone: list[str] = []
    for model in partitioned():
        first_kept = first_kept_month(model, now=now)
        due = [month for month in _months(model) if month < first_kept]
        if not due:
            continue
        if settings.DATABASES["ops"]["NAME"] == "not-configured":
            raise NeedsOps(detail=f"{model._meta.label} {due[0]:%Y-%m}")
        ready = BEFORE_MONTHS_GO.get(model)
        if ready is not None and not ready(first_kept, now=now):
            continue
        gone += [f"{model._meta.label} {month:%Y-%m}" for month in due if partitions.drop(model, month)]
    return gone


def governed() -> list[type[models.Model]]:
    """Ordinary tables whose rows go by themselves; those that point at others come before them."""
    found = [m for m in apps.get_models() if kept_of(m) is not None and not getattr(m, "partition_by", "")]
    return sorted(found, key=lambda model: (-_depth(model, found), model._meta.label))


def partitioned() -> list[type[ClientModel]]:
    """Tables that lose whole months."""
    return [m for m in apps.get_models() if issubclass(m, ClientModel) and m.partition_by and kept_of(m) is not None]


def kept_of(model: type[models.Model]) -> Kept | None:
    """What the model says about its rows."""
    found: Kept | None = getattr(model, "kept_for", None)
    return found


def days_of(model: type[models.Model]) -> int:
    """Days its rows are kept here: as declared, or longer where the settings say so."""
    kept = kept_of(model)
    assert kept is not None  # noqa: S101 - asked of governed and partitioned tables only
    return max(kept.days, int(settings.KEPT_DAYS.get(model._meta.label, 0)))


def first_kept_month(model: type[models.Model], *, now: datetime) -> date:
    """The first of the oldest month of which something is still within its time."""
    return (now - timedelta(days=days_of(model))).date().replace(day=1)


def _forget(chosen: list[type[models.Model]], now: datetime, step: Step) -> dict[str, int]:
    done: dict[str, int] = {}
    for model in chosen:
        for _ in count():
            with step():
                went = _over(model, now)._raw_delete("default")
            done[model._meta.label] = done.get(model._meta.label, 0) + went
            if went < BATCH:
                break
    return done


def _over(model: type[models.Model], now: datetime) -> models.QuerySet[Any]:
    """One batch of rows that are over their time."""
    kept, rows = kept_of(model), model._default_manager.all()
    assert kept is not None  # noqa: S101 - asked of governed tables only
    old = rows.filter(kept.only, **{f"{kept.since}__lt": now - timedelta(days=days_of(model))})
    if kept.but_newest_per:
        same = {name: models.OuterRef(name) for name in kept.but_newest_per}
        newer = {f"{kept.since}__gt": models.OuterRef(kept.since)}
        old = old.filter(models.Exists(rows.filter(**same, **newer)))
    return rows.filter(pk__in=old.order_by().values("pk")[:BATCH])


def _depth(model: type[models.Model], among: list[type[models.Model]]) -> int:
    """How many tables of `among` stand in a row behind this one's references."""
    targets = {field.related_model for field in model._meta.local_fields}
    return 1 + max((_depth(other, among) for other in among if other in targets - {model}), default=0)


def _months(model: type[models.Model]) -> Iterator[date]:
    """The months the table has partitions for, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_date(right(c.relname, 7), 'YYYY\"m\"MM') FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(%s) AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$' ORDER BY 1",
            [f'public."{model._meta.db_table}"'],
        )
        yield from [row[0] for row in cursor.fetchall()]
