"""How long a sign-in lasts, and whether somebody has shown again who he is; kept in the session on our side."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils.timezone import now as clock

#: Ends whatever one does; ends when nothing was done for so long; and how long a shown password counts.
LONGEST: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=2)
SURE: Final = timedelta(minutes=10)
#: The moment of the last request is kept this exactly, so that reading does not write each time.
_SEEN_KEPT: Final = timedelta(minutes=1)


def begin(request: Any, **_signal: Any) -> None:
    """A person has just given the password: receiver of `user_logged_in`."""
    if request is not None and hasattr(request, "session"):
        now = clock().timestamp()
        request.session.update({"began_at": now, "seen_at": now, "sure_at": now})
        request.session.pop("second_at", None)


def is_over(request: Any, *, now: datetime) -> bool:
    """Whether the sign-in has ended; else this request counts as a sign of life."""
    began, seen = request.session.get("began_at"), request.session.get("seen_at")
    if began is None or seen is None:
        return True
    moment = now.timestamp()
    if moment - began > LONGEST.total_seconds() or moment - seen > IDLE.total_seconds():
        return True
    if moment - seen > _SEEN_KEPT.total_seconds():
        request.session["seen_at"] = moment
    return False


def is_sure(request: Any) -> bool:
    """Whether the password (and the second factor, where there is one) was shown within the last ten minutes."""
    shown = request.session.get("sure_at")
    return shown is not None and clock().timestamp() - shown <= SURE.total_seconds()


def make_sure(request: Any) -> None:
    """The password was shown again."""
    request.session["sure_at"] = clock().timestamp()


def pass_second(request: Any) -> None:
    """The second factor was shown; the session gets a new name, as at every rise of rights."""
    request.session.cycle_key()
    request.session["second_at"] = clock().timestamp()


def has_second(request: Any) -> bool:
    """Whether the second factor was shown in this sign-in."""
    return "second_at" in request.session


def name_of(request: Any, credentials: dict[str, Any] | None = None) -> str | None:
    """For whom a try counts: as people are told apart, or each spelling of capitals would have tries of its own."""
    given = (credentials or {}).get("username") or request.POST.get("username")
    return given.strip().lower() if given else None


def address_of(request: Any) -> str:
    """Where a request comes from; behind a declared proxy what that proxy saw, which nobody else can write."""
    seen = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    return seen.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
