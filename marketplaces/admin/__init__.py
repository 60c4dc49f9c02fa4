"""Marketplaces in the admin: accounts to set up, streams to steer, raw documents and what waits in them to look at."""

from marketplaces.admin.accounts import AccountAdmin, SiteAdmin
from marketplaces.admin.events import InboundEventAdmin, InletAdmin
from marketplaces.admin.outbox import OutboxAttemptAdmin, OutboxCommandAdmin, PushFlowAdmin, PushSwitchAdmin
from marketplaces.admin.raw import QuarantinedAdmin, RawDocumentAdmin, SchemaDriftAdmin
from marketplaces.admin.streams import ReportJobAdmin, StreamAdmin, SyncWindowAdmin
from marketplaces.admin.subscriptions import SubscriptionAdmin

__all__ = [
    "AccountAdmin",
    "InboundEventAdmin",
    "InletAdmin",
    "OutboxAttemptAdmin",
    "OutboxCommandAdmin",
    "PushFlowAdmin",
    "PushSwitchAdmin",
    "QuarantinedAdmin",
    "RawDocumentAdmin",
    "ReportJobAdmin",
    "SchemaDriftAdmin",
    "SiteAdmin",
    "StreamAdmin",
    "SubscriptionAdmin",
    "SyncWindowAdmin",
]
