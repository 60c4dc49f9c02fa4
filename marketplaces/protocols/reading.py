"""Small readers for answers: a value of the agreed shape, or `Malformed` with the place where it is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from marketplaces.errors import Malformed
from marketplaces.port import Answer, Translated
from marketplaces.records import Drift, Rejected

Row = Mapping[str, Any]
Found = TypeVar("Found")

_LARGEST = Decimal(10) ** 12
#: What JSON gives that holds an amount without loss; a bool's type is its own.
_EXACT = (str, Decimal, int)


def body_of(answer: Answer) -> dict[str, Any]:
    """The JSON object an answer is. Raises: Malformed: it is no JSON, or no object."""
    found = answer.json()
    if not isinstance(found, dict):
        raise Malformed("The answer is no JSON object.")
    return found


def rows(value: Any, path: str) -> list[Row]:
    """A list of objects; None reads as an empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{path} is no list of objects.", path=path)
    for one in value:
        if not isinstance(one, dict):
            raise Malformed(f"{path} is no list of objects.", path=path)
    return value


def listed(value: Any, path: str) -> list[Any]:
    """The records of a page, for `each`, which sets those aside that are no objects; None reads as an empty list.

    Raises: Malformed: no list, or one in which nothing is an object: then it is the answer that is wrong.
    """
    if value is None:
        return []
    if not isinstance(value, list) or (value and not any(isinstance(one, dict) for one in value)):
        raise Malformed(f"{path} is no list of objects.", path=path)
    return value


def part(row: Row, name: str) -> Row:
    """A nested object; missing or null reads as an empty one."""
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{name} is no object.", path=name)
    return value


def text(row: Row, name: str) -> str:
    """A required text or id; numbers become text, so that long ids lose no digit."""
    value = row.get(name)
    if type(value) is str and (found := value.strip()):  # nearly every one, so it comes first
        return found
    if type(value) is not int:
        raise Malformed(f"{name} is missing.", path=name)
    return str(value)


def maybe_text(row: Row, name: str) -> str | None:
    """An optional text or id; blank reads as None."""
    value = row.get(name)
    if type(value) is str:
        return value.strip() or None
    return None if value is None else text(row, name)


def money(value: Any, path: str) -> Decimal:
    """An amount, exact. Accepts JSON numbers and numbers written as text, never floats or booleans."""
    if type(value) not in _EXACT:
        raise Malformed(f"{path} is no amount.", path=path)
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise Malformed(f"{path} is no amount.", path=path) from error
    if not amount.is_finite() or abs(amount) >= _LARGEST:
        raise Malformed(f"{path} is no amount anybody pays.", path=path)
    return amount


def maybe_money(row: Row, name: str) -> Decimal | None:
    """An optional amount."""
    value = row.get(name)
    return None if value is None else money(value, name)


def count(row: Row, name: str) -> int:
    """A required whole number, 0 or more."""
    value = row.get(name)
    if type(value) is not int or value < 0:
        raise Malformed(f"{name} is no number of pieces.", path=name)
    return value


def maybe_count(row: Row, name: str) -> int | None:
    """An optional whole number, 0 or more."""
    return None if row.get(name) is None else count(row, name)


def instant(row: Row, name: str) -> datetime:
    """A required ISO time with its zone, as UTC."""
    found = maybe_instant(row, name)
    if found is None:
        raise Malformed(f"{name} is missing.", path=name)
    return found


def maybe_instant(row: Row, name: str) -> datetime | None:
    """An optional ISO time, as UTC. One without a zone is refused: guessing it would move days."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{name} is no time.", path=name) from error
    if moment.tzinfo is None:
        raise Malformed(f"{name} has no time zone.", path=name)
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """A time as APIs like it: UTC, to the second or the millisecond, with Z."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


def each(
    found: Iterable[Any], path: str, id_name: str, read: Callable[[Row], Iterator[Translated]]
) -> Iterator[Translated]:
    """Translate rows one by one: a bad one becomes `Rejected`, its neighbors go on."""
    for i, row in enumerate(found):
        if not isinstance(row, dict):
            excerpt = json.dumps(row, default=str, ensure_ascii=False).encode()
            yield Rejected(path=f"{path}[{i}]", reason="This is no object.", excerpt=excerpt)
            continue
        try:
            done = list(read(row))
        except (Malformed, KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = error.message if isinstance(error, Malformed) else f"unexpected shape ({type(error).__name__})"
            field = f".{error.path}" if isinstance(error, Malformed) and error.path else ""
            excerpt = json.dumps(row, default=str, ensure_ascii=False).encode()
            name = row.get(id_name)
            yield Rejected(
                path=f"{path}[{i}]{field}",
                reason=reason,
                excerpt=excerpt,
                external_id="" if name is None else str(name),
            )
        else:
            yield from done


def word(raw: str, known: Mapping[str, Found], unknown: Found, path: str, drift: list[Drift]) -> Found:
    """What a provider's word means to us; a new word reads as `unknown` and is noted."""
    if raw in known:
        return known[raw]
    if raw:
        drift.append(Drift(path=path, value=raw[:100]))
    return unknown


def unknown_fields(row: Row, known: frozenset[str], path: str) -> Iterator[Drift]:
    """Fields the provider's description does not name."""
    for name in row.keys() - known:
        yield Drift(path=f"{path}.{name}"[:200], value="")


def next_token(sent: str, answered: str) -> str:
    """The token of the following page.

    Raises:
        Malformed: the answer names the page it was asked for, which would never end.
    """
    if answered and answered == sent:
        raise Malformed("The answer names its own page as the next one; reading on would never end.")
    return answered
