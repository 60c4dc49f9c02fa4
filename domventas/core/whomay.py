"""Who may do what this person may not: the roles, and the people of this client who have one of them.

A page that leaves a button out says so with `pages/partials/_who_may.html`, so that nobody looks for it in vain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest
from django.urls import reverse

from domventas.core import roles, tenancy
from domventas.core.models import Membership

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: So many names fit into a sentence; the others are counted.
NAMED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoMay:
    """Whom to ask for something.

    Attributes:
        what: what it is about, as the beginning of a sentence ("Mapping an offer").
        roles: the roles that may, in words.
        people: names of those of this client who have one of them; `more` are not named.
        people_url: where the reader gives somebody the role, which he may not give himself; else empty.
    """

    what: _StrOrPromise
    roles: list[str]
    people: list[str]
    more: int
    people_url: str


def who_may(request: HttpRequest, right: str, what: _StrOrPromise) -> WhoMay | None:
    """Whom to ask for the right ("orders.add_shipment"); None for a person who has it. One query, if at all.

    Names are told to people of the same client only: nobody else has a right to any of the pages that ask.
    """
    if request.user.has_perm(right):
        return None
    app, _dot, codename = right.partition(".")
    verb, _line, model = codename.partition("_")
    found = roles.holders(verb, f"{app}.{model}")
    members = Membership.objects.filter(client=tenancy.current().one, role__in=found, user__is_active=True)
    names = [str(member.user) for member in members.select_related("user").order_by("user__name", "user__email")]
    may_give = request.user.has_perm("core.change_membership")
    return WhoMay(
        what=what,
        roles=[str(role.label) for role in found],
        people=names[:NAMED],
        more=len(names[NAMED:]),
        people_url=reverse("admin:core_membership_changelist") if may_give else "",
    )
