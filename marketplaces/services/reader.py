"""One reading of one stream: what is missing is planned, fetched page by page, and handed to the intake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from marketplaces.errors import BorderError, Malformed, Refused, Unavailable
from marketplaces.models import Account, Stream, SyncWindow
from marketplaces.port import Connector, Flow, Http, RawPage, Window
from marketplaces.selectors.gaps import Horizon, horizon, uncovered
from marketplaces.services import days, windows
from marketplaces.services.claims import Claim, Span
from marketplaces.services.door import open_door
from marketplaces.services.pages import Intake, Step, Tally

#: Pauses between tries of one request when the marketplace gives no answer [s].
PAUSES: Final = (1.0, 4.0)
#: The clocks are taken to differ from here on: `Date` knows whole seconds, and answers take time.
SKEW: Final = timedelta(seconds=30)
#: A snapshot nobody has gone on with for so long is begun anew: its first pages are no longer true.
SNAPSHOT_KEEPS: Final = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Pulled:
    """What one reading of a stream did.

    Attributes:
        windows: spans of time read completely.
        gaps: holes found in what counted as read, days that lost rows included.
        state: `done`, `waiting` (come back after `retry_after`), `held` (somebody was told to come back later), `busy`,
            `off` or `failed` (see `error`).
        retry_after: None after a failure that another try would not heal.
    """

    account: str
    flow: str
    tally: Tally = field(default_factory=Tally)
    windows: int = 0
    gaps: int = 0
    state: str = "done"
    error: str = ""
    error_kind: str = ""
    retry_after: timedelta | None = None


@dataclass(kw_only=True)
class Reader:
    """One reading of one stream, by somebody who holds it."""

    account: Account
    stream: Stream
    connector: Connector
    flow: Flow
    held: Claim
    now: datetime
    since: datetime | None
    start: bool
    hurry: bool
    step: Step
    sleep: Callable[[float], None]
    told: Callable[[str], None]
    result: Pulled
    log: SyncWindow | None = None
    is_idle: bool = False
    """There was nothing to look after, so that the end of this reading says nothing about the stream."""

    def __post_init__(self) -> None:
        self.span: Horizon = horizon(self.account, self.flow, now=self.now)
        self.intake = Intake(
            account=self.account, stream=self.stream, flow=self.flow, claim=self.held, now=self.now, step=self.step,
            tally=self.result.tally,
        )  # fmt: skip
        self._session: Any = None
        self._http: Http | None = None

    @property
    def session(self) -> Any:
        """The connector's session, opened when it is first needed: an idle stream signs in nowhere."""
        if self._session is None:
            priority = self.connector.priority_of(self.stream.flow)
            door = open_door(self.account, now=self.now, priority=priority)
            self._http, self._session = door.http, self.connector.open(door)
        return self._session

    def plan(self) -> list[Span]:
        """The spans to be read: days that lost rows are opened again first."""
        if self.since is not None:
            since = max(self.since, self.now - self.flow.history)
            return [(since, self.span.until)] if since < self.span.until else []
        short = days.reopen(self.stream, self.held, until=self.span.until)
        for gap in short:
            self.told(f"{gap.day}: {gap.stored} of {gap.accepted} rows are left, reading again")
        spans = uncovered(self.stream, self.span)
        self.result.gaps = len(short) + sum(until < self.span.until for _, until in spans)
        return spans

    def complete_until(self) -> datetime | None:
        """Up to when everything is here."""
        if self.flow.snapshot:
            return self.now
        holes = uncovered(self.stream, self.span)
        return holes[0][0] if holes else self.span.until

    def read_windows(self) -> None:
        """Read everything that is missing, window by window."""
        if self.held.window is not None:  # somebody stopped in the middle of one
            self._window(self.held.window, self.held.token, reason="resumed")
        reason = "poll" if self.since is None else "asked"
        for span in windows.cut(self.plan(), self.flow.window):
            self._window(span, "", reason="gap" if self.result.gaps and reason == "poll" else reason)

    def read_snapshot(self) -> None:
        """Read the whole state of now. One that takes many turns, as the limits want it, is gone on with each time."""
        span, token = (self.now - self.flow.window, self.now), ""
        before = self.stream.last_started_at  # by whoever read before us: the row was looked at before it was claimed
        if self.held.window is not None and self.held.token and before and before > self.now - SNAPSHOT_KEEPS:
            span, token = self.held.window, self.held.token
        self._window(span, token, reason="resumed" if token else "poll")

    def _window(self, span: Span, token: str, *, reason: str) -> None:
        """Read one window to its last page."""
        self.open_log(span, reason)
        seen = {token}
        while True:
            try:
                page = self._following(self._asked(span), token, seen)
            except (Refused, Malformed) as error:
                earlier = None if token else self._by_their_clock(span, error)
                if earlier is not None:
                    span = earlier
                elif not (token and len(seen) == 1):
                    raise
                token, seen = "", {""}  # the page mark left by an earlier reading has run out: from the beginning
                continue
            page = self.intake.take(
                page, window=span, log=self.log, again=partial(self._following, self._asked(span), token, seen)
            )
            seen.add(page.next_token)
            self.told(f"{span[0]:%Y-%m-%d %H:%M} – {span[1]:%Y-%m-%d %H:%M}: page {len(seen) - 1}")
            if not page.next_token:
                break
            token = page.next_token
        self.result.windows += 1
        self.close_log()

    def _asked(self, span: Span) -> Window:
        if self.flow.snapshot:
            return Window(since=span[0], until=span[1])
        return windows.asked(span, self.flow, now=self.now)

    def _by_their_clock(self, span: Span, error: BorderError) -> Span | None:
        """The part of a span that lies in the marketplace's past, when its clock is behind ours and it refuses more."""
        skew = self._http.skew if self._http is not None else None
        if skew is None or skew > -SKEW or self.flow.snapshot or not isinstance(error, Refused):
            return None
        until = self.now + skew - self.flow.lag
        if not span[0] < until < span[1]:
            return None
        self.told(f"the marketplace's clock is {-skew} behind ours, reading up to {until:%H:%M:%S}")
        self.span = replace(self.span, until=min(self.span.until, until))
        return span[0], until

    def _following(self, ask: Window, token: str, seen: set[str]) -> RawPage:
        """The page a mark leads to. Raises: Malformed: it leads back to one already read."""
        page = self._fetch(ask, token)
        if page.next_token and page.next_token in seen:
            raise Malformed("The marketplace repeats its page mark; following it would never end.", path=token)
        return page

    def _fetch(self, ask: Window, token: str) -> RawPage:
        assert self.flow.fetch is not None  # noqa: S101 - what has neither reports nor fetch is refused at the start
        for pause in (*PAUSES, None):
            try:
                return self.flow.fetch(self.session, ask, token)
            except Unavailable:
                if pause is None:
                    raise
                self.sleep(pause)
        raise AssertionError("unreachable")

    def open_log(self, span: Span, reason: str) -> None:
        """Note that a window is being read, or is again after somebody stopped in it."""
        broken_off = SyncWindow.objects.filter(stream=self.stream, status=SyncWindow.Status.RUNNING)
        self.log = broken_off.filter(window=span).order_by("pk").last() if reason == "resumed" else None
        if self.log is None:
            self.log = SyncWindow.objects.create(stream=self.stream, window=span, reason=reason, started_at=self.now)

    def close_log(self, *, error: str = "") -> None:
        """Note how the window ended."""
        if self.log is None:
            return
        self.log.status = SyncWindow.Status.FAILED if error else SyncWindow.Status.DONE
        self.log.error, self.log.ended_at = error, self.now
        self.log.save(update_fields=["status", "error", "ended_at"])
        self.log = None
