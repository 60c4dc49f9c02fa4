"""System checks: every table either has its wall or stands on a closed list, and no key crosses clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import AppConfig, apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from domventas.core.fields import ClientForeignKey
from domventas.core.models import ClientModel, ClientPart

#: The closed list of tables without a wall. They hold no business data and no secrets.
GLOBAL: Final = frozenset({
    "core.Client", "core.User", "core.SecondFactor", "core.Membership", "core.Route", "core.ApiToken", "core.Firing",
    "core.Lease", "marketplaces.Site", "finance.ReferenceRate",
    "axes.AccessAttempt", "axes.AccessAttemptExpiration", "axes.AccessFailureLog", "axes.AccessLog",
    "admin.LogEntry", "auth.Group", "auth.Group_permissions", "auth.Permission", "contenttypes.ContentType",
    "sessions.Session",
    "django_celery_beat.SolarSchedule", "django_celery_beat.IntervalSchedule", "django_celery_beat.ClockedSchedule",
    "django_celery_beat.CrontabSchedule", "django_celery_beat.PeriodicTasks", "django_celery_beat.PeriodicTask",
})  # fmt: skip


def connect() -> None:
    """Register the checks; called once by the app's ready()."""
    checks.register(_walls)
    checks.register(_keys, checks.Tags.database)  # with migrate, and with check --database


def walled_models() -> list[type[ClientModel]]:
    """Every model with a wall, automatic link tables included."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if issubclass(model, ClientModel) and not model._meta.proxy
    ]


def _walls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, ClientModel):
            found.extend(_model_problems(model))
        elif model._meta.label not in GLOBAL:
            text = "is neither a ClientModel nor on the list of tables without a client"
            found.append(checks.Error(f"{model._meta.label} {text}", id="core.E001"))
    return found


def _keys(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Secrets made with a key that is not on the ring cannot be read: better known before the work begins."""
    from domventas.core import crypto, keys

    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        try:
            missing = keys.missing(using=alias)
        except crypto.Unreadable as error:
            return [checks.Error(str(error), id="core.E008")]
        for name, by in missing.items():
            for key, count in by.items():
                text = f"{name}: {count} values were made with key {key}, which is not on the ring"
                found.append(checks.Error(text, hint="Put the key back into DOMVENTAS_KEYRING.", id="core.E009"))
    return found


def _model_problems(model: type[ClientModel]) -> Iterator[checks.CheckMessage]:
    label = model._meta.label
    if model._base_manager.name != "objects":
        yield checks.Error(f"{label}: the base manager is not scoped", id="core.E002")
    for field in model._meta.local_fields:
        target = field.related_model
        inside = isinstance(target, type) and issubclass(target, ClientModel)
        if inside and not isinstance(field, ClientForeignKey):
            yield checks.Error(f"{label}.{field.name} must be a ClientForeignKey", id="core.E003")
        if field.unique and not field.primary_key:
            yield checks.Error(f"{label}.{field.name}: unique across clients tells what others have", id="core.E004")
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            if "client" not in constraint.fields:
                yield checks.Error(f"{label}.{constraint.name} does not contain the client", id="core.E005")
            if model.partition_by and model.partition_by not in constraint.fields:
                text = f"does not contain {model.partition_by}, by which the table is partitioned"
                yield checks.Error(f"{label}.{constraint.name} {text}", id="core.E006")
    if issubclass(model, ClientPart) and not any(map(_proves_client, model._meta.local_fields)):
        yield checks.Error(f"{label}: nothing proves the client; it is no part of another row", id="core.E010")
    yield from _brand_problems(model)


def _proves_client(field: models.Field[Any, Any]) -> bool:
    """Whether the database itself holds this reference, client included, for every row."""
    return isinstance(field, ClientForeignKey) and field.db_wall and not field.null


def _brand_problems(model: type[ClientModel]) -> Iterator[checks.CheckMessage]:
    at: Any = model
    for step in filter(None, model.brand_path.split("__")):
        try:
            at = at._meta.get_field(step).related_model
        except (FieldDoesNotExist, AttributeError):
            yield checks.Error(f"{model._meta.label}: no way along {model.brand_path!r}", id="core.E007")
            return
