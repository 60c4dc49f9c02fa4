"""By what an order record is known to be the one that is stored: then nothing has to be read, compared or written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from marketplaces.records import BuyerRecord, OrderLineRecord, OrderRecord
from orders.services import facts


def _all_but(record: type[Any], *told_apart: str) -> Callable[[Any], tuple[Any, ...]]:
    """Reads every field of a record but these."""
    getter: Callable[[Any], tuple[Any, ...]] = attrgetter(
        *(each.name for each in fields(record) if each.name not in told_apart)
    )
    return getter


#: A record's own text is the slower, the more records, choices and sets are in it; so those are told as plain values.
_ORDER: Final = _all_but(OrderRecord, "fulfillment", "lines", "total_kinds", "buyer")
_LINE: Final = _all_but(OrderLineRecord, "status", "charges")
_BUYER: Final = _all_but(BuyerRecord)
#: The modules that decide what a record means in our columns: under other code the same record is compared anew.
_CODE: Final = blake2b(
    b"".join(Path(facts.__file__).with_name(name).read_bytes() for name in ("facts.py", "ingest.py", "changes.py")),
    digest_size=16,
).digest()


def digest(record: OrderRecord) -> str:
    """The same for the same record under the same code, 32 characters."""
    lines = [
        (_LINE(line), line.status._value_, [(charge.kind._value_, charge.amount) for charge in line.charges])
        for line in record.lines
    ]
    buyer = _BUYER(record.buyer) if record.buyer else None
    said = repr((_ORDER(record), record.fulfillment._value_, lines, _in_order(record.total_kinds), buyer))
    return blake2b(said.encode(), digest_size=16, key=_CODE).hexdigest()


@lru_cache(maxsize=64)
def _in_order(kinds: Iterable[str]) -> str:
    """A set's own order changes from process to process."""
    return ",".join(sorted(kinds))
