"""Which commands may leave: per account and kind in shadow, live or stopped, and one switch before everything."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from domventas.core.errors import Refused
from marketplaces.models import Account, PushFlow, PushSwitch
from marketplaces.registry import connectors
from marketplaces.selectors.outbox import is_stopped

#: How long after *go live* as many commands may leave in one go as there are.
BURST: Final = timedelta(hours=1)
#: What would be told is looked at for so long before anything is told for the first time.
SHADOW: Final = timedelta(days=3)
#: A shorter reason for going live earlier says nothing.
SHORTEST_REASON: Final = 8


def ensure(account: Account, *, now: datetime) -> list[PushFlow]:
    """One flow per kind of command the account's marketplace takes; new ones start in shadow, none is removed."""
    verbs = connectors[account.channel].pushes if account.channel in connectors else {}
    have = set(PushFlow.objects.filter(account=account).values_list("verb", flat=True))
    PushFlow.objects.bulk_create(
        [PushFlow(account=account, verb=verb, changed_at=now, shadow_since=now) for verb in verbs if verb not in have],
        ignore_conflicts=True,
    )
    return list(PushFlow.objects.filter(account=account, verb__in=verbs).order_by("verb"))


def flow_of(account: Account, verb: str, *, now: datetime) -> PushFlow:
    """The flow of one account. Raises: Refused: its marketplace does not take such commands."""
    found = next((flow for flow in ensure(account, now=now) if flow.verb == verb), None)
    if found is None:
        raise Refused(_("%(account)s takes no %(verb)s.") % {"account": account, "verb": verb})
    return found


def live_from(flow: PushFlow, *, now: datetime) -> datetime:
    """When a flow may go live without anybody's special word: after three days in shadow, or at once if it has been.

    A flow stopped in its shadow days begins them anew.
    """
    return now if flow.was_live else (flow.shadow_since or now) + SHADOW


def set_mode(
    flow: PushFlow, mode: str, *, actor: str, now: datetime, why: str = "", early: bool = False
) -> None:  # fmt: skip
    """Switch a flow. Commands held before stay held: going live sends only what is put from now on.

    Args:
        early: go live before the days in shadow are over; `why` then has to say the reason, and the audit keeps both.

    Raises: Refused: no such mode, live where this installation may not write, too early, or early without a reason.
    """
    if mode not in PushFlow.Mode.values:
        raise Refused(_("There is no mode “%(mode)s”.") % {"mode": mode})
    if mode == PushFlow.Mode.LIVE and not may_write(flow.account):
        raise Refused(_("This installation does not write to live marketplaces."))
    flow.refresh_from_db()
    says: dict[str, Any] = {
        "mode": mode, "why": why[:300], "changed_by": actor[:254], "changed_at": now, "burst_until": None,
        "shadow_since": None, "is_early": False,
    }  # fmt: skip
    if mode == PushFlow.Mode.LIVE:
        says |= {"burst_until": now + BURST, "was_live": True, "is_early": _is_early(flow, why, early, now)}
    elif mode == PushFlow.Mode.SHADOW:
        says |= {"shadow_since": flow.shadow_since or now}
    PushFlow.objects.filter(pk=flow.pk).update(**says)
    flow.refresh_from_db()


def _is_early(flow: PushFlow, why: str, early: bool, now: datetime) -> bool:
    """Whether going live now is before its time. Raises: Refused: it is, and nobody said why it has to be."""
    possible = live_from(flow, now=now)
    if possible <= now:
        return flow.is_early and flow.mode == PushFlow.Mode.LIVE
    if not early:
        told = _("It has to be in shadow for three days first: live from %(moment)s on.")
        raise Refused(told % {"moment": localtime(possible).strftime("%Y-%m-%d %H:%M %Z")})
    if len(" ".join(why.split())) < SHORTEST_REASON:
        raise Refused(
            _("Say why it has to go live before its three days in shadow: the reason is kept with your name.")
        )
    return True


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
