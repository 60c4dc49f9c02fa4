"""Fee kinds, rules, payment terms and tolerances that ship with a marketplace, as rows of the client.

What staff has written or changed is never touched; what was shipped follows the shipped files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import Range

from domventas.core.models import ClientModel
from finance.models.rules import Origin
from finance.services.reference_rows import TABLES, Table, read
from marketplaces.port import Connector
from marketplaces.registry import connectors


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of a channel's shipped rows."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    kept: int = 0
    """Shipped rows left out because a row of staff's says otherwise."""

    def __add__(self, other: Synced) -> Synced:
        return Synced(
            self.created + other.created,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.unchanged + other.unchanged,
            self.kept + other.kept,
        )


def sync_reference(channel: str) -> Synced:
    """Bring the acting client's rows of one channel in line with the files beside its connector.

    Running it again changes nothing. Raises: KeyError: no such channel. BadReference: a file cannot be read.
    """
    connector = connectors[channel]
    with transaction.atomic():
        return sum((_sync(table, connector) for table in TABLES), Synced())


def _sync(table: Table, connector: Connector) -> Synced:
    shipped = {_key(table, row): row for row in read(table, connector.name, connector.reference(table.file))}
    owned = {connector.name} if table.owner == "channel" else {site.code for site in connector.sites}
    stored = list(table.model.objects.filter(**{f"{table.owner}__in": owned}).select_for_update())
    ours = [row for row in stored if row.origin == Origin.STAFF]  # type: ignore[attr-defined]  # all five have it
    theirs = {_key_of(table, row): row for row in stored if row.origin == Origin.SHIPPED}  # type: ignore[attr-defined]  # as above
    blocked = {key for key, row in shipped.items() if any(_collides(table, row, own) for own in ours)}
    wanted = {key: row for key, row in shipped.items() if key not in blocked}
    gone = [row.pk for key, row in theirs.items() if key not in wanted]
    if gone:
        table.model.objects.filter(pk__in=gone).delete()
    updated = unchanged = 0
    # A rule that is cut short makes room for its successor, so the shortened ones go first.
    for key in sorted(theirs.keys() & wanted.keys(), key=lambda key: _end(wanted[key])):
        changed = _apply(theirs[key], wanted[key])
        updated, unchanged = updated + changed, unchanged + (not changed)
    fresh = [table.model(**{**row, "origin": Origin.SHIPPED}) for key, row in wanted.items() if key not in theirs]
    table.model.objects.bulk_create(fresh)
    return Synced(len(fresh), updated, len(gone), unchanged, len(blocked))


def _apply(stored: ClientModel, values: dict[str, Any]) -> bool:
    changed = [name for name, value in values.items() if _plain(getattr(stored, name)) != _plain(value)]
    for name in changed:
        setattr(stored, name, values[name])
    if changed:
        stored.save(update_fields=changed)
    return bool(changed)


def _key(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(_key_part(name, row[name]) for name in table.key)


def _key_of(table: Table, row: ClientModel) -> tuple[Any, ...]:
    return tuple(_key_part(name, getattr(row, name)) for name in table.key)


def _key_part(name: str, value: Any) -> Any:
    # Of its days a rule's first one is the identity: the last is what changes when a successor arrives.
    return value.lower if name == "valid" else _plain(value)


def _plain(value: Any) -> Any:
    """Comparable whatever type of range or how many zeros: [0, 10.00) is [0, 10)."""
    return ("range", value.lower, value.upper) if isinstance(value, Range) else value


def _collides(table: Table, row: dict[str, Any], own: ClientModel) -> bool:
    """Whether a row of staff's already speaks for the same case in the same time."""
    return all(_meets(row[name], getattr(own, name)) for name in table.key)


def _meets(one: Any, other: Any) -> bool:
    if not isinstance(one, Range):
        return bool(one == other)
    starts_before_end = one.lower is None or other.upper is None or one.lower < other.upper
    return starts_before_end and (other.lower is None or one.upper is None or other.lower < one.upper)


def _end(row: dict[str, Any]) -> tuple[bool, Any]:
    upper = row["valid"].upper if "valid" in row else None
    return (upper is None, upper or "")


def channels_of(accounts: Iterable[str]) -> list[str]:
    """The channels to sync, each once, that have a connector."""
    return sorted(set(accounts) & set(connectors))
