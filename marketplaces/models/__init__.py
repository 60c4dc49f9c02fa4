"""Tables of the border: who we talk to, what they said, and how far we have read."""

from marketplaces.models.accounts import Account, AccountSite, Credential, Site
from marketplaces.models.events import InboundEvent, Inlet, InletRefusal, Subscription
from marketplaces.models.outbox import OutboxAttempt, OutboxCommand, PushFlow, PushSwitch
from marketplaces.models.raw import Quarantined, RawDocument, SchemaDrift
from marketplaces.models.sync import ReportJob, Stream, StreamDay, SyncWindow

__all__ = [
    "Account",
    "AccountSite",
    "Credential",
    "InboundEvent",
    "Inlet",
    "InletRefusal",
    "OutboxAttempt",
    "OutboxCommand",
    "PushFlow",
    "PushSwitch",
    "Quarantined",
    "RawDocument",
    "ReportJob",
    "SchemaDrift",
    "Site",
    "Stream",
    "StreamDay",
    "Subscription",
    "SyncWindow",
]
