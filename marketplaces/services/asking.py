"""Subscriptions at marketplaces, brought in line with what we want to be told: looked at first, asked for once.

The marketplace is the truth and our rows what we saw there last. So whoever dies in between, or loses an answer, looks
again and makes nothing twice. What is refused here stops nothing else: polls go on as if there were no events.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError, Refused
from domventas.core.jobs import firing
from marketplaces import errors
from marketplaces.events import Asking, Subscribed
from marketplaces.models import Account, Inlet, Subscription
from marketplaces.selectors.subscriptions import asking_of, inlet_of
from marketplaces.services.door import connector_of, open_door
from marketplaces.services.pages import Step
from marketplaces.services.streams import in_words

State = Subscription.State

#: A marketplace that gave no answer is asked again so long after.
AGAIN: Final = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True)
class Aligned:
    """What one look came to, in topics.

    Attributes:
        made: asked for anew. kept: stood as it should. removed: no longer wanted. open: refused, elsewhere or unknown.
        retry_after: when to look again, where the marketplace gave no answer or told us to wait.
    """

    made: int = 0
    kept: int = 0
    removed: int = 0
    open: int = 0
    retry_after: timedelta | None = None
    note: str = ""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What was found of one topic, to be written down."""

    topic: str
    state: str
    found: Subscribed | None = None
    note: str = ""
    is_new: bool = False


@dataclass(slots=True)
class _Look:
    """One account's session at the marketplace, and what is known of it here."""

    session: Any
    asking: Asking
    rows: dict[str, Subscription]
    result: Aligned
    seen: list[_Seen] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def ask(account: Account, *, now: datetime, move: bool = False) -> None:
    """Have the account's subscriptions brought in line by a job soon, after the caller's transaction.

    Args:
        move: a person wants it: what delivers to another address is made to deliver to ours.

    Raises: Refused: its marketplace cannot be asked, or has no address of ours to deliver to.
    """
    asking = asking_of(account.channel)
    if asking is None:
        raise Refused(_("This marketplace cannot be asked for its events."))
    if move and inlet_of(account) is None:
        raise Refused(_("There is no inlet yet that its events could come to."))
    with transaction.atomic():
        if inlet_of(account) is not None:
            for topic in asking.topics:
                row, is_new = Subscription.objects.get_or_create(account=account, topic=topic)
                if move or is_new:
                    Subscription.objects.filter(pk=row.pk).update(asked_at=now if move else None)
        firing.ensure_queued(f"events.subscribe.{account.channel}", account_id=account.pk, now=now)


def ask_if_possible(account: Account, *, now: datetime) -> None:
    """The same where an inlet opens or closes, or an account starts; nothing where there is nothing to ask."""
    if account.status != Account.Status.ACTIVE or asking_of(account.channel) is None:
        return
    if inlet_of(account) is not None or Subscription.objects.filter(account=account).exists():
        ask(account, now=now)


def align(account: Account, *, now: datetime, step: Step = transaction.atomic) -> Aligned:
    """Look at what the marketplace sends the account, and ask for what is missing.

    Args:
        step: opens each writing transaction; a job puts its own, with its fence.

    Raises: Superseded: another worker has taken over. AWAY: a server of ours is, which another try may heal.
    """
    result = Aligned()
    asking = asking_of(account.channel)
    if asking is None or account.status != Account.Status.ACTIVE:
        return result
    rows = {row.topic: row for row in Subscription.objects.filter(account=account)}
    inlet = inlet_of(account)
    wanted = asking.topics if inlet is not None else ()
    if not wanted and not rows:
        return result
    try:
        session = connector_of(account).open(open_door(account, now=now))
    except (errors.BorderError, DomventasError) as error:
        look = _Look(None, asking, rows, result)
        _fail(look, wanted, error)
    else:
        look = _Look(session, asking, rows, result)
        try:
            _meet(look, wanted, inlet)
        except errors.Later as error:
            result.retry_after, result.note = error.after, in_words(error)
    with step():
        _write(account, look, now=now)
    return result


def address_of(inlet: Inlet) -> str:
    """Where a marketplace has to deliver to, as the world knows it. Raises: Refused: we do not know our own name."""
    if inlet.kind == Inlet.Kind.QUEUE:
        return inlet.queue_url or str(settings.EVENT_QUEUE["url"])
    if not settings.PUBLIC_URL:
        raise Refused(_("PUBLIC_URL is not set, so no marketplace can be told where to send webhooks."))
    return f"{settings.PUBLIC_URL.rstrip('/')}/in/{inlet.key}"


def _meet(look: _Look, wanted: tuple[str, ...], inlet: Inlet | None) -> None:
    """First what is wanted, then what is not any more. Raises: Later: the first word to wait ends it."""
    target = ""
    try:
        if inlet is not None:
            target = look.asking.target(look.session, address_of(inlet))
    except errors.Later:
        raise
    except (errors.BorderError, Refused) as error:
        _fail(look, wanted, error)
        wanted = ()
    for topic in wanted:
        with _kept_apart(look, topic):
            look.seen.append(_one(look, topic, target))
    for topic, row in look.rows.items():
        if inlet is None or topic not in look.asking.topics:
            with _kept_apart(look, topic):
                _drop(look, topic, row)


@contextmanager
def _kept_apart(look: _Look, topic: str) -> Iterator[None]:
    """What goes wrong with one topic is written down there; the others go on."""
    try:
        yield
    except errors.Later:
        raise
    except errors.BorderError as error:
        _fail(look, (topic,), error)


def _one(look: _Look, topic: str, target: str) -> _Seen:
    """Look, and ask only for what is not there. Raises: BorderError."""
    row, found, note = look.rows.get(topic), look.asking.find(look.session, topic), ""
    if found is not None and found.target == target:
        return _Seen(topic=topic, state=State.SUBSCRIBED, found=found)
    if found is not None:
        if row is None or (row.asked_at is None and row.target != found.target):
            return _Seen(topic=topic, state=State.ELSEWHERE, found=found, note=_elsewhere(found))
        look.asking.remove(look.session, topic, found.ref)
        note = _("Delivered to another address before; moved here.")
    elif row is not None and row.state == State.SUBSCRIBED:
        note = _("Was gone at the marketplace, and was asked for again.")
    made = _create(look, topic, target)
    if made.target != target:
        return _Seen(topic=topic, state=State.ELSEWHERE, found=made, note=_elsewhere(made))
    return _Seen(topic=topic, state=State.SUBSCRIBED, found=made, note=note, is_new=True)


def _create(look: _Look, topic: str, target: str) -> Subscribed:
    """Ask once. An answer that was lost, or that says it is there already, is looked up instead of asked again."""
    try:
        return look.asking.create(look.session, topic, target)
    except (errors.Refused, errors.Unavailable, errors.Malformed) as error:
        if isinstance(error, errors.Refused) and error.status != 409:
            raise
        if (found := look.asking.find(look.session, topic)) is not None:
            return found
        raise


def _drop(look: _Look, topic: str, row: Subscription) -> None:
    """Take away what is ours; somebody else's is only forgotten here."""
    if row.ref:
        look.asking.remove(look.session, topic, row.ref)
    look.gone.append(topic)


def _elsewhere(found: Subscribed) -> str:
    told = _("Delivers to “%(target)s”, which is none of this account's inlets. Subscribe moves it here.")
    return told % {"target": found.target}


def _fail(look: _Look, topics: tuple[str, ...], error: errors.BorderError | DomventasError) -> None:
    """Keep in words why not; only what another try may heal is tried again before tomorrow."""
    is_final = isinstance(error, errors.Unauthorized | errors.Refused | DomventasError)
    for topic in topics:
        look.seen.append(
            _Seen(topic=topic, state=State.REFUSED if is_final else State.FAILED, note=in_words(error))
        )  # fmt: skip
    if not is_final:
        look.result.retry_after, look.result.note = AGAIN, in_words(error)


def _write(account: Account, look: _Look, *, now: datetime) -> None:
    for seen in look.seen:
        row = look.rows.get(seen.topic) or Subscription(account=account, topic=seen.topic)
        is_there = seen.state == State.SUBSCRIBED
        if is_there and (row.state != State.SUBSCRIBED or seen.is_new or row.since is None):
            row.since = now
        elif not is_there:
            row.since = None
        if is_there and seen.found is not None:
            row.ref, row.target = seen.found.ref, seen.found.target
        elif seen.state == State.ELSEWHERE:
            row.ref = row.target = ""  # none of ours any more
        # What was once told stays until the state changes: nobody may have read it yet.
        row.note = seen.note[:500] or (row.note if is_there and row.state == State.SUBSCRIBED else "")
        row.state, row.checked_at = seen.state, now
        row.asked_at = row.asked_at if seen.state == State.FAILED else None
        row.save()
        look.result.made += seen.is_new
        look.result.kept += is_there and not seen.is_new
        look.result.open += not is_there
    look.result.removed += len(look.gone)
    Subscription.objects.filter(account=account, topic__in=look.gone).delete()
