"""The kernel's tables, one module per noun."""

from __future__ import annotations

from domventas.core.models.access import PiiAccess
from domventas.core.models.audit import AuditAnchor, AuditEntry, AuditSeal
from domventas.core.models.base import ClientModel, ClientPart
from domventas.core.models.factors import SecondFactor
from domventas.core.models.jobs import Dispatch, Firing, TaskRun
from domventas.core.models.kept import Kept
from domventas.core.models.limits import CalendarDay, Threshold
from domventas.core.models.people import Client, Membership, User, UserManager
from domventas.core.models.routes import Route
from domventas.core.models.tokens import ApiReply, ApiToken

__all__ = [
    "ApiReply",
    "ApiToken",
    "AuditAnchor",
    "AuditEntry",
    "AuditSeal",
    "CalendarDay",
    "Client",
    "ClientModel",
    "ClientPart",
    "Dispatch",
    "Firing",
    "Kept",
    "Membership",
    "PiiAccess",
    "Route",
    "SecondFactor",
    "TaskRun",
    "Threshold",
    "User",
    "UserManager",
]
