"""The mark of an audit entry: one hash over everything it says, built from one hash per value.

A value that was erased leaves its hash in `redaction`, so the entry's mark stays what it was when it was sealed. Each
hash is salted by itself, and the salt of an erased value is gone: nobody finds it by trying names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from domventas.core.models import AuditEntry

#: Stands where a value was taken out; the database function writes the same.
ERASED: Final = "‹erased›"

Image = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry with its images as the database spells them; numbers keep their digits."""

    row: AuditEntry
    before: Image
    after: Image

    def values(self) -> Iterator[tuple[str, Any]]:
        """Every value by its place, `before.name` or `after.name`, in order."""
        for side, image in (("before", self.before), ("after", self.after)):
            for key in sorted(image or ()):
                yield f"{side}.{key}", (image or {})[key]

    @property
    def mark(self) -> str:
        """SHA-256 over the entry, in hex."""
        e = self.row
        at = e.at.astimezone(UTC).isoformat(timespec="microseconds")
        shape = [image is not None for image in (self.before, self.after)]
        head = json.dumps([e.pk, e.client_id, str(e.day), at, e.table, e.row, e.actor, e.request, shape])
        known: dict[str, dict[str, str]] = e.redaction or {}
        lines = [f"{place}:{self._hash(place, value, known.get(place, {}))}" for place, value in self.values()]
        return _sha("\n".join([head, *lines]))

    def redacted(self, places: Iterable[str]) -> dict[str, dict[str, str]]:
        """What `redaction` has to say once these places are erased: their hashes, and the salts of all others."""
        known: dict[str, dict[str, str]] = self.row.redaction or {}
        gone = set(places)
        found = {}
        for place, value in self.values():
            mine = known.get(place, {})
            if "hash" in mine:
                found[place] = mine
            elif place in gone:
                found[place] = {"hash": self._hash(place, value, mine)}
            else:
                found[place] = {"salt": self._salt(place, mine)}
        return found

    def _salt(self, place: str, known: Mapping[str, str]) -> str:
        return known.get("salt") or _sha(f"{self.row.salt} {place}")

    def _hash(self, place: str, value: Any, known: Mapping[str, str]) -> str:
        if "hash" in known and value == ERASED:
            return known["hash"]
        return _sha(f"{self._salt(place, known)} {_plain(value)}")


def entries(rows: QuerySet[AuditEntry]) -> Iterator[Entry]:
    """The entries of a query, read one batch at a time; their numbers are kept to the last digit."""
    read = rows.annotate(before_text=Cast("before", TextField()), after_text=Cast("after", TextField()))
    for row in read.defer("before", "after").iterator(chunk_size=2000):
        yield Entry(row, _image(row.before_text), _image(row.after_text))


def _image(text: str | None) -> Image:
    found: Image = None if text is None else json.loads(text, parse_float=Decimal)
    return found


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=lambda number: {"number": str(number)})


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
