"""What a token may do: a scope is an area of rights and reading or writing in it, never more than the service role."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from domventas.core.roles import GRANTS, Area, Role

READ, WRITE = "read", "write"
#: Scope → what it lets do, as people read it when they make a token.
SCOPES: Final = {
    "orders:read": _("read orders and their lines"),
    "orders:write": _("act on orders, such as confirming shipments"),
    "catalog:read": _("read SKUs, listings and unmapped items"),
    "catalog:write": _("map unknown offers to SKUs"),
    "finance:read": _("read settlements, discrepancies and receivables"),
    "tickets:read": _("read tickets"),
    "tickets:write": _("move tickets"),
    "sync:read": _("read accounts and how fresh their data is"),
}
_VERBS: Final = {READ: "view", WRITE: "change"}


def granted(scope: str) -> bool:
    """Whether the service role covers the scope: held by a check, so that no scope outgrows the table of roles."""
    area, _colon, verb = scope.partition(":")
    return _VERBS[verb] in GRANTS[Role.SERVICE].get(Area(area), frozenset())
