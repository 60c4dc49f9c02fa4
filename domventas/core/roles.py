"""What each role may do: one table of roles × areas, and the areas by model. Nothing else grants anything.

Verbs: view, add, change, delete, export, import. "read" is view and export; "write" is everything; "import" adds the
import of files to reading; "edit" is write without delete.
"""

from __future__ import annotations

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Role(TextChoices):
    """What a person is for a client. The platform operator is no role: it belongs to no client."""

    OPS = "ops", _("operations")
    WAREHOUSE = "warehouse", _("warehouse")
    CATALOG = "catalog", _("catalog")
    ADS = "ads", _("advertising")
    FINANCE = "finance", _("finance")
    MANAGER = "manager", _("management")
    ADMIN = "admin", _("administrator")
    SERVICE = "service", _("API service")
    AUDITOR = "auditor", _("auditor")


class Area(TextChoices):
    """A part of the business that rights are given for."""

    ORDERS = "orders", _("orders")
    TICKETS = "tickets", _("tickets")
    STOCK = "stock", _("stock")
    CATALOG = "catalog", _("catalog")
    FINANCE = "finance", _("finance")
    ADS = "ads", _("advertising")
    BUYERS = "buyers", _("buyers' data")
    CREDENTIALS = "credentials", _("credentials")
    PEOPLE = "people", _("people")
    SYNC = "sync", _("connections and jobs")
    LIMITS = "limits", _("limits and rules")
    AUDIT = "audit", _("audit")
    PLATFORM = "platform", _("platform")


VIEW: Final = frozenset({"view"})
READ: Final = VIEW | {"export"}
IMPORT: Final = READ | {"import"}
EDIT: Final = READ | {"add", "change"}
WRITE: Final = EDIT | {"delete", "import"}
#: Set, never read back: the form shows only the fingerprint.
SET: Final = frozenset({"view", "add", "change"})
#: Buyers: look with a reason, take away with a reason, erase on request; nobody adds or changes them by hand.
CARE: Final = READ | {"delete"}
NONE: Final[frozenset[str]] = frozenset()

A = Area
GRANTS: Final[dict[Role, dict[Area, frozenset[str]]]] = {
    Role.OPS: {
        A.ORDERS: WRITE, A.TICKETS: EDIT, A.STOCK: READ, A.CATALOG: READ, A.BUYERS: CARE, A.SYNC: READ, A.LIMITS: VIEW,
    },
    Role.WAREHOUSE: {
        A.ORDERS: EDIT, A.TICKETS: EDIT, A.STOCK: WRITE, A.CATALOG: READ, A.BUYERS: VIEW, A.SYNC: VIEW,
    },
    Role.CATALOG: {A.ORDERS: READ, A.TICKETS: EDIT, A.STOCK: READ, A.CATALOG: WRITE, A.SYNC: VIEW},
    Role.ADS: {
        A.ORDERS: READ, A.TICKETS: EDIT, A.STOCK: READ, A.CATALOG: READ, A.FINANCE: VIEW, A.ADS: WRITE, A.SYNC: VIEW,
    },
    Role.FINANCE: {
        A.ORDERS: READ, A.TICKETS: EDIT, A.STOCK: READ, A.CATALOG: READ, A.FINANCE: WRITE, A.SYNC: READ, A.LIMITS: VIEW,
    },
    Role.MANAGER: {
        A.ORDERS: READ, A.TICKETS: EDIT, A.STOCK: READ, A.CATALOG: READ, A.FINANCE: READ, A.ADS: READ, A.SYNC: READ,
        A.LIMITS: READ,
    },
    Role.ADMIN: {
        A.ORDERS: IMPORT, A.TICKETS: EDIT, A.STOCK: IMPORT, A.CATALOG: IMPORT, A.FINANCE: IMPORT, A.ADS: IMPORT,
        A.CREDENTIALS: SET, A.PEOPLE: WRITE, A.SYNC: WRITE, A.LIMITS: WRITE, A.AUDIT: READ,
    },
    Role.SERVICE: {
        A.ORDERS: EDIT, A.TICKETS: EDIT, A.STOCK: EDIT, A.CATALOG: EDIT, A.FINANCE: READ, A.SYNC: READ,
    },
    Role.AUDITOR: {
        A.ORDERS: READ, A.TICKETS: READ, A.STOCK: READ, A.CATALOG: READ, A.FINANCE: READ, A.ADS: READ, A.PEOPLE: VIEW,
        A.SYNC: READ,
        A.LIMITS: READ, A.AUDIT: READ,
    },
}  # fmt: skip

#: What a platform operator may do, outside every client.
OPERATOR: Final[dict[Area, frozenset[str]]] = {A.PLATFORM: WRITE}

#: Where rows tell of money: members limited to brands see there only what can be told apart by brand.
MONEY: Final = frozenset({A.FINANCE, A.TICKETS})

#: Area of each app; single models differ from their app below.
APPS: Final[dict[str, Area]] = {
    "core": A.PLATFORM,
    "marketplaces": A.SYNC,
    "catalog": A.CATALOG,
    "orders": A.ORDERS,
    "inventory": A.STOCK,
    "finance": A.FINANCE,
    "ads": A.ADS,
    "tickets": A.TICKETS,
    "reports": A.ORDERS,
    "django_celery_beat": A.PLATFORM,
    "auth": A.PLATFORM,
    "admin": A.PLATFORM,
    "axes": A.PLATFORM,
    "contenttypes": A.PLATFORM,
    "sessions": A.PLATFORM,
}
MODELS: Final[dict[str, Area]] = {
    "core.membership": A.PEOPLE,
    "core.threshold": A.LIMITS,
    "core.calendarday": A.LIMITS,
    "core.apitoken": A.CREDENTIALS,
    "core.apireply": A.CREDENTIALS,
    "core.auditanchor": A.AUDIT,
    "core.auditentry": A.AUDIT,
    "core.auditseal": A.AUDIT,
    "core.piiaccess": A.AUDIT,
    "core.taskrun": A.SYNC,
    "core.proposal": A.LIMITS,
    "core.importbatch": A.SYNC,
    "marketplaces.credential": A.CREDENTIALS,
    "marketplaces.inlet": A.CREDENTIALS,
    "orders.buyercontact": A.BUYERS,
    "orders.erasure": A.AUDIT,
}


def area_of(model: str) -> Area | None:
    """The area of `app.model` (any capitals); None for an app nobody has placed, to which nobody has rights."""
    label = model.lower()
    return MODELS.get(label) or APPS.get(label.partition(".")[0])


def may(role: Role | str, action: str, model: str) -> bool:
    """Whether a member in this role may do it: may("finance", "import", "finance.SkuCost")."""
    area = area_of(model)
    return area is not None and action in GRANTS[Role(role)].get(area, NONE)


def holders(action: str, model: str) -> list[Role]:
    """The roles of people that may do it, in the order of the table; programs are nobody to ask."""
    return [role for role in Role if role != Role.SERVICE and may(role, action, model)]


def operator_may(action: str, model: str) -> bool:
    """Whether a platform operator may: beat, queues, clients and people as such, no business."""
    area = area_of(model)
    return area is not None and action in OPERATOR.get(area, NONE)
