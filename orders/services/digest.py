"""By what an order record is known to be the one that is stored: then nothing has to be read, compared or written."""

from __future__ import annotations

from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Final

from marketplaces.records import OrderRecord
from orders.services import facts

#: Everything a record says; sets are told in order, because their own changes from process to process.
_SETS: Final = ("total_kinds",)
_SAID: Final = attrgetter(*(one.name for one in fields(OrderRecord) if one.name not in _SETS))
#: The modules that decide what a record means in our columns: under other code the same record is compared anew.
_CODE: Final = blake2b(
    b"".join(Path(facts.__file__).with_name(name).read_bytes() for name in ("facts.py", "ingest.py", "changes.py")),
    digest_size=16,
).digest()


def digest(record: OrderRecord) -> str:
    """The same for the same record under the same code, 32 characters."""
    said = repr((_SAID(record), sorted(record.total_kinds)))
    return blake2b(said.encode(), digest_size=16, key=_CODE).hexdigest()
