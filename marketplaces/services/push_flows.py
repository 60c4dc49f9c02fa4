"""Which commands may leave: per account and kind in shadow, live or stopped, and one switch before everything."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from domventas.core.errors import Refused
from marketplaces.models import Account, PushFlow, PushSwitch
from marketplaces.registry import connectors
from marketplaces.selectors.outbox import is_stopped

#: How long after *go live* as many commands may leave in one go as there are.
BURST: Final = timedelta(hours=1)


def ensure(account: Account, *, now: datetime) -> list[PushFlow]:
    """One flow per kind of command the account's marketplace takes; new ones start in shadow, none is removed."""
    verbs = connectors[account.channel].pushes if account.channel in connectors else {}
    have = set(PushFlow.objects.filter(account=account).values_list("verb", flat=True))
    PushFlow.objects.bulk_create(
        [PushFlow(account=account, verb=verb, changed_at=now) for verb in verbs if verb not in have],
        ignore_conflicts=True,
    )
    return list(PushFlow.objects.filter(account=account, verb__in=verbs).order_by("verb"))


def flow_of(account: Account, verb: str, *, now: datetime) -> PushFlow:
    """The flow of one account. Raises: Refused: its marketplace does not take such commands."""
    found = next((flow for flow in ensure(account, now=now) if flow.verb == verb), None)
    if found is None:
        raise Refused(_("%(account)s takes no %(verb)s.") % {"account": account, "verb": verb})
    return found


def set_mode(flow: PushFlow, mode: str, *, actor: str, now: datetime, why: str = "") -> None:
    """Switch a flow. Commands held before stay held: going live sends only what is put from now on.

    Raises: Refused: no such mode, or live where this installation may not write.
    """
    if mode not in PushFlow.Mode.values:
        raise Refused(_("There is no mode “%(mode)s”.") % {"mode": mode})
    if mode == PushFlow.Mode.LIVE and not may_write(flow.account):
        raise Refused(_("This installation does not write to live marketplaces."))
    burst = now + BURST if mode == PushFlow.Mode.LIVE else None
    PushFlow.objects.filter(pk=flow.pk).update(
        mode=mode, why=why[:300], changed_by=actor[:254], changed_at=now, burst_until=burst
    )
    flow.refresh_from_db()


def stop_everything(*, actor: str, now: datetime, why: str = "") -> None:
    """Nothing of the acting client leaves from now on, whatever its flows say; commands already sent stay sent."""
    _switch(stopped=True, actor=actor, now=now, why=why)


def allow_again(*, actor: str, now: datetime, why: str = "") -> None:
    """Each flow does again what it says itself; what waited goes out."""
    _switch(stopped=False, actor=actor, now=now, why=why)


def mode_in_force(flow: PushFlow) -> str:
    """What holds now: the client's switch before the flow's own mode, and never live where we may not write."""
    if is_stopped():
        return PushFlow.Mode.STOPPED
    if flow.mode == PushFlow.Mode.LIVE and not may_write(flow.account):
        return PushFlow.Mode.SHADOW
    return flow.mode


def may_write(account: Account) -> bool:
    """Whether this installation may write there: to sandboxes always, to live marketplaces only where it is said so."""
    return account.environment == Account.Environment.SANDBOX or settings.LIVE_PUSHES


def _switch(*, stopped: bool, actor: str, now: datetime, why: str) -> None:
    values = {"is_stopped": stopped, "why": why[:300], "changed_by": actor[:254], "changed_at": now}
    with transaction.atomic():
        PushSwitch.objects.update_or_create(defaults=values)
