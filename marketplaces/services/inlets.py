"""Inlets: addresses at which marketplaces reach an account, opened with their Route, their secrets rotated, closed."""

from __future__ import annotations

import re
import secrets as random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Refused
from domventas.core.models import Route
from marketplaces.models import Account, Inlet
from marketplaces.registry import connectors
from marketplaces.services import asking
from marketplaces.shared import limiter

#: Old secrets count so long after a new one was set: both sides need not change in the same second.
OVERLAP: Final = timedelta(hours=24)
#: Shorter ones can be guessed.
SHORTEST_SECRET: Final = 16
_LONGEST_KEY: Final = 200
_AWS_QUEUE: Final = re.compile(r"https://sqs\.[a-z0-9-]{5,25}\.amazonaws\.com(\.cn)?/\d{12}/[A-Za-z0-9_-]{1,80}")


def open_webhook(account: Account, *, secret: str, now: datetime) -> Inlet:
    """Open an address of its own for an account, which accepts what was signed with this secret.

    Raises: Refused: the marketplace sends no webhooks, or the secret is too short.
    """
    connector = connectors.get(account.channel)
    if connector is None or connector.events is None or connector.events.verify is None:
        raise Refused(_("This marketplace sends no webhooks."))
    values, key = [_value(secret, now)], random.token_urlsafe(24)
    inlet = _open(account, Inlet.Kind.WEBHOOK, key, {"values": values}, secret, now=now)
    limiter().welcome(budget_key(key))  # nobody has called it yet, so its budget is full
    return inlet


def open_queue(account: Account, *, now: datetime, queue_url: str = "", key_id: str = "", secret: str = "") -> Inlet:
    """Let an account's events come from a queue: the client's own with its keys, or the platform's (no address given).

    Raises: Refused: the marketplace has no queue, the queue is none we may ask, or it serves this seller already.
    """
    connector = connectors.get(account.channel)
    if connector is None or connector.events is None or not connector.events.queues:
        raise Refused(_("This marketplace delivers to no queue."))
    if queue_url and not (key_id and secret):
        raise Refused(_("A queue of your own needs its key and secret."))
    if not queue_url and not settings.EVENT_QUEUE["url"]:
        raise Refused(_("The platform has no queue; give the address of your own."))
    if queue_url and not _may_ask(account, queue_url):
        raise Refused(_("This is no address of an SQS queue."))
    key = route_key(queue_url or settings.EVENT_QUEUE["url"], account.external_id)
    keys = {"key_id": key_id.strip(), "secret": secret.strip()} if queue_url else {}
    return _open(account, Inlet.Kind.QUEUE, key, keys, secret, queue_url=queue_url, now=now)


def set_secret(inlet: Inlet, secret: str, *, now: datetime, key_id: str = "", overlap: timedelta = OVERLAP) -> None:
    """Put a new secret. A webhook's older ones go on for the overlap; a queue's keys are replaced at once.

    Raises: Refused: the secret is too short, or the queue is the platform's.
    """
    with transaction.atomic():
        held = Inlet.objects.select_for_update().get(pk=inlet.pk)
        if held.kind == Inlet.Kind.WEBHOOK:
            end = (now + overlap).isoformat()
            kept = [value | {"until": min(value["until"] or end, end)} for value in _live(held.secrets, now)]
            put: dict[str, Any] = {"values": [*kept, _value(secret, now)]}
        elif not held.queue_url:
            raise Refused(_("The platform's own queue has its keys elsewhere."))
        else:
            put = {"key_id": key_id.strip() or held.secrets["key_id"], "secret": secret.strip()}
        held.secrets, held.fingerprint = put, _ending(secret)
        held.set_by, held.set_at = tenancy.current().actor[:254], now
        held.save(update_fields=["secrets", "fingerprint", "set_by", "set_at"])


def close(inlet: Inlet, *, now: datetime) -> None:
    """Answer there no more; what came stays. A closed inlet does not open again: a new one has a new address.

    What the marketplace was asked to send there is taken back, or asked for at another inlet of the account.
    """
    with transaction.atomic():
        Route.objects.filter(kind=inlet.kind, key=inlet.key, client=inlet.client_id or 0).delete()
        if Inlet.objects.filter(pk=inlet.pk, closed_at=None).update(closed_at=now, secrets={}):
            asking.ask_if_possible(inlet.account, now=now)


def active_secrets(inlet: Inlet, *, now: datetime) -> list[str]:
    """The signing secrets that count now, the newest last."""
    return [value["value"] for value in _live(inlet.secrets, now)]


def budget_key(key: str) -> str:
    """Under which name the messages to an address are counted."""
    return f"inlet:{key}"


def route_key(queue_url: str, seller: str) -> str:
    """The Route of one seller at one queue. The whole address counts: two queues may share a name."""
    parts = urlsplit(queue_url)
    return f"{parts.netloc}{parts.path}/{seller}"


def _open(
    account: Account,
    kind: str,
    key: str,
    secrets: Mapping[str, Any],
    secret: str,
    *,
    now: datetime,
    queue_url: str = "",
) -> Inlet:
    if len(key) > _LONGEST_KEY:
        raise Refused(_("This is no address of an SQS queue."))
    says: dict[str, Any] = {
        "account": account, "kind": kind, "key": key, "queue_url": queue_url, "secrets": dict(secrets),
        "fingerprint": _ending(secret), "set_by": tenancy.current().actor[:254], "set_at": now,
    }  # fmt: skip
    try:
        with transaction.atomic():
            Route.objects.create(kind=kind, key=key, client_id=account.client_id, account=account.pk)
            made = Inlet.objects.create(**says)
            asking.ask_if_possible(account, now=now)
            return made
    except IntegrityError:
        raise Refused(_("This seller's events come from that queue already.")) from None


def _value(secret: str, now: datetime) -> dict[str, str]:
    if len(secret.strip()) < SHORTEST_SECRET:
        raise Refused(_("A signing secret needs at least %(count)d characters.") % {"count": SHORTEST_SECRET})
    return {"value": secret.strip(), "from": now.isoformat(), "until": ""}


def _live(secrets: Mapping[str, Any], now: datetime) -> list[dict[str, str]]:
    values: list[dict[str, str]] = secrets.get("values", [])
    return [value for value in values if not value["until"] or datetime.fromisoformat(value["until"]) > now]


def _may_ask(account: Account, url: str) -> bool:
    """Amazon's own hosts, or the sandbox for a sandbox account: people must not make us call anything else."""
    if account.environment == Account.Environment.SANDBOX:
        return url.startswith(f"{settings.SANDBOX_URL.rstrip('/')}/sqs/")
    return bool(_AWS_QUEUE.fullmatch(url))


def _ending(secret: str) -> str:
    """The last characters, so that people recognize which secret it is; never more than a quarter of it."""
    secret = secret.strip()
    return secret[-min(4, len(secret) // 4) :] if len(secret) >= 4 else ""
