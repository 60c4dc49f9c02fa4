"""The one interface between domventas and a marketplace: a connector is a value of `Connector` and nothing else.

A connector is plain Python. It fetches raw bytes and translates them into records; it never decides, stores or logs.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import resources
from typing import Any, Protocol

from marketplaces.commands import Push
from marketplaces.errors import BorderError
from marketplaces.events import Events
from marketplaces.records import (
    Drift,
    OfferRecord,
    OrderRecord,
    PayoutRecord,
    Record,
    Rejected,
    SettlementRecord,
    TransactionRecord,
)

Translated = Record | Rejected | Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSpec:
    """One marketplace site a connector serves; shipped as data with the connector.

    Attributes:
        code: our name, for example `amazon.de`.
        external_id: the provider's own id of the site (Amazon's marketplace id, Mirakl's operator code).
        hosts: role → base URL of the live host, for example `{"api": "https://…", "token": "https://…"}`;
            a host may begin with `*.` where the marketplace hands out download addresses under a domain.
        sandbox_paths: role → path of the same role at our own sandbox's one port.
    """

    code: str
    label: str
    country: str
    currency: str
    zone: str
    external_id: str
    region: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)
    sandbox_paths: Mapping[str, str] = field(default_factory=dict)

    def hosts_at(self, sandbox_url: str) -> dict[str, str]:
        """Role → base URL of this site at a sandbox, for example `http://127.0.0.1:8010`."""
        return {role: sandbox_url.rstrip("/") + path for role, path in self.sandbox_paths.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialField:
    """One thing a person must enter so that we may sign in.

    `lasts`: a new one runs out so long after it was made; None = it does not, or the marketplace does not say.
    """

    name: str
    label: str
    secret: bool = True
    help: str = ""
    lasts: timedelta | None = None


class Credentials(dict[str, str]):
    """Secrets by field name. Its repr shows the names only."""

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self))})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Token:
    """A short-lived access token."""

    value: str = field(repr=False)
    expires_at: datetime


class TokenStore(Protocol):
    """Where access tokens live between processes."""

    def get(self, name: str) -> Token | None: ...

    def put(self, name: str, token: Token) -> None: ...

    def refresh(self, name: str, make: Callable[[], Token], *, used: Token | None = None) -> Token:
        """Another token than `used`: the one a worker has got meanwhile, or else what `make` signs in for.

        One worker of an account signs in at a time; the others wait a few seconds and use its token.
        Connectors call it through `protocols.sign_in`. Raises: Later: the one signing in does not come to an end.
        """
        ...


class Http(Protocol):
    """What a connector may use to talk: `marketplaces.http.HttpClient` is the one implementation."""

    skew: timedelta | None
    """How far the marketplace's clock is ahead of ours; None before the first answer."""

    def request(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | list[tuple[str, str]] | None = None,
        json: Any = None,
        data: Mapping[str, str] | bytes | None = None,
        throttled: bool = True,
    ) -> Answer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One finished HTTP answer: status < 400, whole body, within the byte cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    redact: Callable[[str], str] = field(default=lambda text: "", repr=False)
    """The beginning of a text without secrets and addresses of people, as it may stand in an error."""

    def json(self) -> Any:
        """Strict JSON: numbers with a point become Decimal; NaN and doubled keys raise `Malformed` with an excerpt."""
        from marketplaces.errors import Malformed
        from marketplaces.http import strict_json

        try:
            return strict_json(self.body)
        except Malformed as error:
            error.status = self.status
            error.excerpt = self.redact(self.body[:4096].decode("utf-8", "replace"))
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Everything a connector gets to open a session for one account."""

    account_ref: str
    sites: tuple[SiteSpec, ...]
    hosts: Mapping[str, str]
    """Role → base URL in force: the live host, or the sandbox for a sandbox account."""
    credentials: Credentials
    http: Http
    tokens: TokenStore
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What to ask for: changes in [since, until)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPage:
    """One answer as it came, before anybody interprets it.

    Attributes:
        next_token: opaque; empty when this was the last page. A token that repeats is an error.
        context: small facts the translator needs again at reprocessing (site, charset); no secrets, no personal data.
        name: what the page is called in the archive, for example the report's id.
    """

    body: bytes = field(repr=False)
    content_type: str
    next_token: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportState:
    """Where an asynchronous report stands.

    Attributes:
        status: `processing`, `done`, `empty`, `failed` or `expired`.
        report_ref: what it is called from now on, where more of it has been asked for; empty = as before.
    """

    status: str
    document_ref: str = ""
    message: str = ""
    report_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFound:
    """A report the marketplace made by itself, at `made_at`; a later one of the same period corrects the earlier."""

    report_ref: str
    document_ref: str
    since: datetime | None
    until: datetime | None
    status: str
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """The three steps of an asynchronous report; `request` or `discover` starts it, never both.

    request(session, window) → report_ref · discover(session, window, token) → (found, next token)
    poll(session, report_ref) → ReportState · download(session, document_ref) → RawPage

    What takes more calls than the budget may allow at once goes on at the next step: `request` and `poll` ask for a
    part and say so in the reference; a page's `next_token` is the document reference of what is left to be downloaded.
    """

    poll: Callable[[Any, str], ReportState]
    download: Callable[[Any, str], RawPage]
    request: Callable[[Any, Window], str] | None = None
    discover: Callable[[Any, Window, str], tuple[list[ReportFound], str]] | None = None


class Priority(StrEnum):
    """Who goes first where calls are scarce, the most urgent first."""

    REALTIME = "realtime"
    """Orders and events, and whatever a person waits for."""
    PUSH = "push"
    """Stock, prices, shipments."""
    MONEY = "money"
    """Settlements, transactions, payouts."""
    BULK = "bulk"
    """Catalogue, snapshots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One stream of facts of a marketplace: how to fetch it, how to read it, and what the provider allows.

    Attributes:
        fetch: (session, window, token) → one RawPage; None when the flow comes by report.
        translate: pure: one RawPage → records, rejected records and drift. Order of records is the page's order.
        cadence: cron expression of the poll [UTC].
        freshness: older than this is late.
        window: the longest span asked at once. overlap: asked again before each window.
        lag: stay this far behind now. history: how far back the provider answers at all.
        fetch_one: (session, the source's id) → the one thing as it stands, in a page `translate` reads; for events.
            Its flow's loader must not mind a poll beside it: events do not wait for the stream.
        fetch_some: the same for up to `at_once` things in one request, where the provider allows it.
        snapshot: True when an answer is the whole state of now, not changes in a window.
        pii_paths: JSON paths (`a.b[].c`) that hold personal data; blanked when the raw document is purged.
        priority: the class of its calls; None = as its name says, see `PRIORITY_OF_FLOW`.
    """

    translate: Callable[[RawPage], Iterator[Translated]]
    record: type
    cadence: str
    freshness: timedelta
    window: timedelta = timedelta(days=1)
    overlap: timedelta = timedelta(minutes=30)
    lag: timedelta = timedelta(minutes=2)
    history: timedelta = timedelta(days=90)
    snapshot: bool = False
    fetch: Callable[[Any, Window, str], RawPage] | None = None
    fetch_one: Callable[[Any, str], RawPage] | None = None
    fetch_some: Callable[[Any, Sequence[str]], RawPage] | None = None
    at_once: int = 50
    reports: Reports | None = None
    pii_paths: tuple[str, ...] = ()
    priority: Priority | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A provider's rate: `rate` calls per second refill a bucket of `burst`."""

    rate: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What *test connection* found, in words for the person who entered the credentials.

    Attributes:
        cause: the error that ended the test, by which people are told what to do; None when the marketplace let us in.
    """

    ok: bool
    message: str
    sites: tuple[str, ...] = ()
    cause: BorderError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One marketplace: a table of contents of what it can do. A capability is a value or None.

    Files beside the module are its dated reference data: `fee_kinds.csv`, `fee_rules.csv`, `refund_rules.csv`,
    `payment_terms.csv`, `tolerances.csv`, `carriers.csv` (columns: docs/guides/add-a-marketplace.md).
    """

    name: str
    label: str
    package: str
    sites: tuple[SiteSpec, ...]
    credential_fields: tuple[CredentialField, ...]
    limits: Mapping[str, Limit]
    open: Callable[[Door], Any]
    check: Callable[[Any], Checked]
    orders: Flow | None = None
    offers: Flow | None = None
    settlements: Flow | None = None
    transactions: Flow | None = None
    payouts: Flow | None = None
    shipments: Push | None = None
    """Telling that parcels have left: takes a `ShipmentCommand`."""
    events: Events | None = None
    parse_settlement: Callable[[bytes, str], SettlementRecord] | None = None
    """(bytes, file name) → one settlement, for files people drop; raises `Malformed` naming row and field."""
    rights: Mapping[str, str] = field(default_factory=dict)
    """Flow or push → what the marketplace calls the right (role, scope) it needs, for people who have to grant it."""

    @property
    def flows(self) -> dict[str, Flow]:
        """The streams this marketplace has, by name."""
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Flow)}

    @property
    def pushes(self) -> dict[str, Push]:
        """What this marketplace can be told, by name."""
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Push)}

    def priority_of(self, flow: str) -> Priority:
        """The class of a flow's calls. Raises: KeyError: this marketplace has no such flow."""
        return self.flows[flow].priority or PRIORITY_OF_FLOW.get(flow, Priority.BULK)

    def reference(self, name: str) -> list[dict[str, str]]:
        """Rows of one of the connector's data files; empty when it ships none."""
        file = resources.files(self.package) / f"{name}.csv"
        if not file.is_file():
            return []
        return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


RECORD_OF_FLOW: Mapping[str, type] = {
    "orders": OrderRecord,
    "offers": OfferRecord,
    "settlements": SettlementRecord,
    "transactions": TransactionRecord,
    "payouts": PayoutRecord,
}

PRIORITY_OF_FLOW: Mapping[str, Priority] = {
    "orders": Priority.REALTIME,
    "settlements": Priority.MONEY,
    "transactions": Priority.MONEY,
    "payouts": Priority.MONEY,
    "offers": Priority.BULK,
}
