"""The inbox: events are written down encrypted before anything is done about them, each once, and work is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from domventas.core import crypto, tenancy, traces
from domventas.core.jobs import firing
from domventas.core.traces import Wanted
from marketplaces.errors import Malformed
from marketplaces.events import Arrived, Effect, Events, Hint
from marketplaces.models import Account, InboundEvent, Inlet
from marketplaces.registry import connectors
from marketplaces.services.raw import PERSONAL_DATA_KEPT, mentions

#: The kind of a message that is the marketplace's but that we cannot read.
UNREADABLE: Final = "unreadable"
#: How long ended events are known, so that a repetition is recognized.
#: The job that works on an account's events, before its marketplace's name.
DRAIN: Final = "events.drain"

State = InboundEvent.State
INSERT = """
INSERT INTO marketplaces_inboundevent (client_id, account_id, source, event_id, kind, effect, flow, ref, body,
    received_at, occurred_at, purge_at, state, attempts, not_before, ended_at, note)
SELECT %(client)s, %(account)s, %(source)s, event_id, kind, effect, flow, ref, body, %(now)s, occurred_at, %(purge)s,
    state, 0, %(now)s, CASE WHEN state <> 'waiting' THEN %(now)s::timestamptz END, note
FROM unnest(%(ids)s::text[], %(kinds)s::text[], %(effects)s::text[], %(flows)s::text[], %(refs)s::text[],
    %(bodies)s::bytea[], %(times)s::timestamptz[], %(states)s::text[], %(notes)s::text[])
    AS given (event_id, kind, effect, flow, ref, body, occurred_at, state, note) ORDER BY event_id
ON CONFLICT (client_id, account_id, event_id) DO NOTHING RETURNING state
"""
REFUSED = """
INSERT INTO marketplaces_inletrefusal AS r (client_id, inlet_id, hour, count, last_at, why)
VALUES (%(client)s, %(inlet)s, %(hour)s, 1, %(now)s, %(why)s)
ON CONFLICT (client_id, inlet_id, hour)
DO UPDATE SET count = r.count + 1, last_at = excluded.last_at, why = excluded.why
"""


def hints_of(events: Events, message: Arrived) -> list[Hint]:
    """What a message hints at; one that cannot be read is kept as such, for people, and never asked for again."""
    digest = hashlib.sha256(message.body).hexdigest()
    try:
        found = list(events.read(message))
    except Malformed as error:
        return [Hint(event_id=f"{UNREADABLE}-{digest}", kind=UNREADABLE, ref=error.message)]
    return [hint if 0 < len(hint.event_id) <= 200 else replace(hint, event_id=digest) for hint in found]


def accept(account: Account, source: str, arrived: Iterable[tuple[Arrived, Sequence[Hint]]], *, now: datetime) -> int:
    """Write events down and ask for a drain, in one transaction; returns how many were new.

    One that is known already, by its sender's id, is left alone. What asks for nothing of ours ends as ignored.
    """
    client = tenancy.current().one
    rows = [(message, hint) for message, hints in arrived for hint in hints]
    if not rows:
        return 0
    sealed = {id(message): crypto.encrypt(message.body, client=client).encode() for message, _ in rows}
    ends = [_end_of(account, hint) for _, hint in rows]
    known: dict[str, Any] = {
        "client": client, "account": account.pk, "source": source, "now": now, "purge": now + PERSONAL_DATA_KEPT,
        "ids": [_text(hint.event_id, 200) for _, hint in rows], "kinds": [_text(hint.kind, 80) for _, hint in rows],
        "effects": [hint.effect.value for _, hint in rows], "flows": [_text(hint.flow, 40) for _, hint in rows],
        "refs": [_text(hint.ref, 200) for _, hint in rows], "bodies": [sealed[id(message)] for message, _ in rows],
        "times": [hint.occurred_at for _, hint in rows], "states": [state for state, _ in ends],
        "notes": [note for _, note in ends],
    }  # fmt: skip
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(INSERT, known)
            fresh = [state for (state,) in cursor.fetchall()]
        if State.WAITING in fresh:
            ask_for_drain(account, now=now)
    return len(fresh)


def refuse(inlet: Inlet, why: str, *, now: datetime) -> None:
    """Count a message nothing proved, and keep no byte of it. The address's budget bounds how often this is called."""
    known: dict[str, Any] = {
        "client": tenancy.current().one, "inlet": inlet.pk, "now": now, "why": why[:200],
        "hour": now.replace(minute=0, second=0, microsecond=0),
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(REFUSED, known)


def ask_for_drain(account: Account, *, now: datetime) -> None:
    """Let the account's events be worked on as soon as this transaction is committed."""
    firing.ensure_queued(f"{DRAIN}.{account.channel}", account_id=account.pk, now=now)


def replay(events: Iterable[InboundEvent], *, now: datetime) -> int:
    """Work on ended events once more, as if they had just come; returns how many now wait.

    What they ask for is read from their bytes again, as long as these are kept: a newer connector may know more.
    """
    count, touched = 0, {}
    for event in events:
        if event.state == State.WAITING:
            continue
        _reread(event)
        state, note = _end_of(event.account, _hint(event))
        event.state, event.note, event.attempts, event.not_before = state, note, 0, now
        event.ended_at = None if state == State.WAITING else now
        touched[event.account_id] = event.account
        with transaction.atomic():
            event.save(
                update_fields=["kind", "effect", "flow", "ref", "state", "note", "attempts", "not_before", "ended_at"]
            )
        count += state == State.WAITING
    for account in touched.values():
        ask_for_drain(account, now=now)
    return count


def purge(*, now: datetime) -> int:
    """Remove the bytes whose day has come; returns how many. The events themselves go by `core.retention`."""
    return InboundEvent.objects.filter(body__isnull=False, purge_at__lte=now).update(body=None)


def body_of(event: InboundEvent) -> bytes:
    """The message's bytes, for those who may read personal data. Raises: core.crypto.Unreadable."""
    return b"" if event.body is None else crypto.decrypt(bytes(event.body).decode(), client=tenancy.current().one)


@traces.place("inbound events", models=["marketplaces.InboundEvent"])
def forget_people(wanted: Wanted, now: datetime) -> int:
    """Remove the bytes of events in which one of these persons or their orders stands; returns how many."""
    done = []
    for event in InboundEvent.objects.filter(body__isnull=False).iterator(chunk_size=200):
        numbers = {number for account, number in wanted.orders if account == event.account_id}
        if event.ref in numbers or mentions(body_of(event), wanted.words | numbers):
            done.append(event.pk)
    return InboundEvent.objects.filter(pk__in=done).update(body=None)


def _reread(event: InboundEvent) -> None:
    """Take kind, effect, flow and ref from the bytes, where they still are and say something."""
    connector = connectors.get(event.account.channel)
    if event.body is None or connector is None or connector.events is None:
        return
    found = hints_of(connector.events, Arrived(body=body_of(event)))
    fits = [hint for hint in found if hint.event_id == event.event_id] or found[:1]
    for hint in fits:
        event.kind, event.effect = _text(hint.kind, 80), hint.effect
        event.flow, event.ref = _text(hint.flow, 40), _text(hint.ref, 200)


def _hint(event: InboundEvent) -> Hint:
    return Hint(
        event_id=event.event_id, kind=event.kind, effect=Effect(event.effect), flow=event.flow, ref=event.ref
    )  # fmt: skip


def _text(value: str, longest: int) -> str:
    """What the database can hold: JSON may carry zero bytes and halves of characters."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:longest]


def _end_of(account: Account, hint: Hint) -> tuple[str, str]:
    """Whether an event waits, or has ended as it came, and why."""
    connector = connectors.get(account.channel)
    flow = connector.flows.get(hint.flow) if connector else None
    if hint.kind == UNREADABLE:
        return State.FAILED, hint.ref
    if hint.effect == Effect.FETCH and (flow is None or flow.fetch_one is None or not hint.ref):
        return State.IGNORED, f"nothing can be fetched by its number: {hint.flow or '?'}"[:500]
    if hint.effect == Effect.NOTHING:
        return State.IGNORED, "nothing of ours asks for this kind"
    return State.WAITING, ""
