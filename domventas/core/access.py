"""Personal data is masked everywhere; whoever wants to see it says why, and that is written down first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import models, transaction

from domventas.core import tenancy, traces
from domventas.core.errors import Refused
from domventas.core.models import PiiAccess

#: Shorter reasons say nothing.
SHORTEST_REASON: Final = 8


class NoReason(Refused):
    """Somebody wants to see or to erase personal data without saying why."""

    message = "Say why, in a few words: it is kept with your name."


def reason_of(text: str, *, words: Collection[str] = ()) -> str:
    """A reason fit to be kept: long enough, and without the person's own data. Raises: NoReason."""
    found = traces.masked(" ".join(text.split()), words)
    if len(found) < SHORTEST_REASON:
        raise NoReason
    return found[:300]


def note(
    row: models.Model,
    *,
    fields: Collection[str],
    reason: str,
    now: datetime,
    label: str = "",
    way: PiiAccess.Way = PiiAccess.Way.SHOWN,
    words: Collection[str] = (),
) -> PiiAccess:
    """Write down that the acting person sees these fields of a row; committed when it returns outside a transaction.

    Call it before anything is shown. Raises: NoReason: nothing was written, so nothing may be shown.
    """
    acting = tenancy.current()
    with transaction.atomic():
        return PiiAccess.objects.create(
            at=now, actor=acting.actor, request=acting.request, way=way, model=row._meta.label, row=row.pk,
            label=label[:120], fields=sorted(fields), reason=reason_of(reason, words=words),
        )  # fmt: skip
