"""How long rows are kept, declared beside the model they belong to; `core.retention` carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What becomes of a table's old rows. A model without it keeps its rows for good.

    Attributes:
        days: a row goes when it is older. `KEPT_DAYS` of the settings may make it longer, never shorter.
        since: the moment from which its age counts; a row without it stays. May lead over a reference ("command__…").
        why: what the time follows from, for the people who have to answer for it.
        only: the rows that may go at all.
        but_newest_per: of each of these the newest row stays, however old it is.
    """

    days: int
    since: str
    why: str
    only: Q = field(default_factory=Q)
    but_newest_per: tuple[str, ...] = ()
