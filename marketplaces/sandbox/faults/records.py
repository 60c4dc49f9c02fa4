"""Faults of the records: twice, out of order, outdated, with fields nobody announced, without fields that must be."""

from __future__ import annotations

import copy
from typing import Any

from ..wire.http import Response
from .kinds import Call, kind, rewritten
from .shapes import holders, inside


@kind("records")
def doubled_record(call: Call) -> Response | None:
    """A record stands in the page twice."""
    if (found := call.records()) is None:
        return None
    truth, body, rows = found
    rows.append(call.rng.choice(rows))
    return rewritten(truth, body)


@kind("records")
def doubled_page(call: Call) -> Response | None:
    """Every record stands in the page twice."""
    if (found := call.records()) is None:
        return None
    truth, body, rows = found
    rows += copy.deepcopy(rows)
    return rewritten(truth, body)


@kind("records")
def reordered(call: Call) -> Response | None:
    """The records come in another order."""
    if (found := call.records()) is None:
        return None
    truth, body, rows = found
    call.rng.shuffle(rows)
    return rewritten(truth, body)


@kind("records")
def outdated(call: Call) -> Response | None:
    """Behind each new state of a record comes an earlier one."""
    found = call.records()
    if found is None or call.shape is None or call.shape.older is None:
        return None
    truth, body, rows = found
    rows += [call.shape.older(copy.deepcopy(row)) for row in rows]
    return rewritten(truth, body)


@kind("records")
def new_field(call: Call) -> Response | None:
    """Each record has a field nobody has described."""
    if (found := call.records()) is None:
        return None
    truth, body, rows = found
    for row in rows:
        row["loyaltyTier"] = {"level": 3}
    return rewritten(truth, body)


@kind("records")
def missing_required(call: Call) -> Response | None:
    """One record lacks a field it cannot be read without."""
    return _changed(call, "required", lambda holder, name: holder.pop(name))


@kind("records")
def retyped(call: Call) -> Response | None:
    """A field one record cannot be read without has another type."""
    return _changed(call, "required", lambda holder, name: holder.update({name: [holder[name], True]}))


@kind("records", heals=False)
def missing_optional(call: Call) -> Response | None:
    """One record lacks a field that may be missing."""
    return _changed(call, "optional", lambda holder, name: holder.pop(name))


@kind("records", heals=False)
def new_word(call: Call) -> Response | None:
    """A field of one record holds a word nobody has described."""
    return _changed(call, "words", lambda holder, name: holder.update({name: "HALF_WAY_UP"}))


@kind("pages")
def repeated_token(call: Call) -> Response | None:
    """A page names itself as the next one."""
    shape = call.shape
    sent = call.request.one(shape.token) if shape is not None and shape.token else None
    if not sent or shape is None or (found := call.json()) is None:
        return None
    truth, body = found
    holder = inside(body, shape.next_token[:-1])
    if not isinstance(holder, dict):
        return None
    holder[shape.next_token[-1]] = sent
    return rewritten(truth, body)


def _changed(call: Call, fields: str, change: Any) -> Response | None:
    found = call.records()
    names: tuple[str, ...] = getattr(call.shape, fields) if call.shape else ()
    if found is None or not names:
        return None
    truth, body, rows = found
    places = holders(call.rng.choice(rows), call.rng.choice(names))
    if not places:
        return None
    holder, name = call.rng.choice(places)
    change(holder, name)
    return rewritten(truth, body)
