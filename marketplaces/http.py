"""The one way to talk to a marketplace: bounded in time and bytes, to known hosts only, with errors in words."""

from __future__ import annotations

import json as jsonlib
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3

from marketplaces import transport
from marketplaces.allowed import Allowed
from marketplaces.breaker import Breaker, Leave
from marketplaces.errors import (
    BorderError,
    Down,
    Forbidden,
    Malformed,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
)
from marketplaces.garbage import not_collected
from marketplaces.port import Answer, Limit, Priority
from marketplaces.throttle import Limiter

MAX_BYTES = 256 * 1024 * 1024
_EXCERPT = 300
_ERROR_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"
_PACKED = ("gzip", "x-gzip", "deflate")
_LONGEST_WAIT = 24 * 3600.0
_REQUEST_IDS = ("x-amzn-requestid", "x-request-id", "x-correlation-id")
_RATES = ("x-amzn-ratelimit-limit", "x-ratelimit-rate")
"""Headers in which a marketplace states its rate for this operation [calls per second]."""
#: JSON escapes of what is no character by itself: half of a pair, as texts cut by bytes end in, and NUL.
_BROKEN_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_BROKEN = re.compile("[\x00\ud800-\udfff]")
_SECRETS = re.compile(
    r"Atz[ar]\|[^\s\"'&,]+|(?i:bearer)\s+[^\s\"',]+"
    r"|(?i:(?:access|refresh|session)_?token|client_?secret|api_?key|password|signature)[\"']?\s*[:=]\s*[\"']?[^\s\"'&,}]+"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
)


def strict_json(body: bytes) -> Any:
    """Read JSON as money needs it: Decimal for numbers with a point, no NaN, no doubled keys.

    Half a character and NUL, which can be stored nowhere, become U+FFFD.

    Raises:
        Malformed: not UTF-8, not JSON, or JSON that two readers would understand differently.
    """
    try:
        with not_collected():  # the half-made tree would be walked again and again
            text = body.decode("utf-8-sig")
            found = jsonlib.loads(text, parse_float=_finite, parse_constant=_no_number, object_pairs_hook=_once)
            return _whole_characters(found) if _BROKEN_ESCAPE.search(text) else found
    except UnicodeDecodeError as error:
        raise Malformed("The answer is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The answer is not proper JSON: {_short(error)}.") from error


def _whole_characters(found: Any) -> Any:
    if isinstance(found, str):
        return _BROKEN.sub("\ufffd", found)
    if isinstance(found, list):
        return [_whole_characters(each) for each in found]
    if isinstance(found, dict):
        return {_whole_characters(key): _whole_characters(value) for key, value in found.items()}
    return found


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0][:120]


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > 30:
        raise ValueError("a number out of any range")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        key = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {key[:60]!r} occurs twice")
    return found


def inflate(chunks: Iterable[bytes], *, most: int = MAX_BYTES) -> bytes:
    """Unpack gzip, at most `most` bytes, so that a small bomb stays small.

    A document written in pieces may be several gzip files one behind the other, with zeros behind the last.

    Raises:
        Malformed: too large, cut off, or not gzip.
    """
    unpacker, out = zlib.decompressobj(wbits=47), bytearray()
    try:
        for chunk in chunks:
            while chunk := chunk.lstrip(b"\0") if unpacker.eof else chunk:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=47)
                out += unpacker.decompress(chunk, most - len(out) + 1)
                if len(out) > most:
                    raise Malformed(f"The answer unpacks to more than {most:,} bytes.")
                chunk = unpacker.unused_data
    except zlib.error as error:
        raise Malformed("The answer says it is packed, but it does not unpack.") from error
    if not unpacker.eof:
        raise Malformed("The packed answer is cut off.")
    return bytes(out)


def gunzip(body: bytes, *, most: int = MAX_BYTES) -> bytes:
    """Unpack a gzip document in small steps; see `inflate`."""
    return inflate((body[i : i + 65536] for i in range(0, len(body), 65536)), most=most)


class HttpClient:
    """Sends one request at a time for one account and sorts what comes back.

    Args:
        account: whose budget a call counts against.
        hosts: base URLs that may be called.
        limits: operation → rate as the connector declares it; an operation without one is not limited.
        limiter: the budget shared with other workers.
        breaker: knows which hosts do not answer just now; None = every host is asked.
        priority: the class of these calls where the budget is scarce.
        secrets: values that must never show up in an error.
        deadline: the whole request may take so long [seconds], however slowly the answer drips.
        patience: longest time to wait for the budget [seconds]; beyond it `Throttled` says when to come back.
        most: longest body after unpacking [bytes].
        sleep, clock: waiting and the time of day, to be replaced in tests.

    Attributes:
        skew: how far the marketplace's clock is ahead of ours, by its last answer [to the second]; None before one.
    """

    def __init__(
        self,
        *,
        account: str,
        hosts: Iterable[str],
        limits: Mapping[str, Limit],
        limiter: Limiter,
        breaker: Breaker | None = None,
        priority: Priority = Priority.REALTIME,
        secrets: Iterable[str] = (),
        deadline: float = 60.0,
        patience: float = 20.0,
        most: int = MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.account = account
        self.calls: Counter[str] = Counter()
        self._allowed = Allowed(hosts)
        self._limits, self._limiter, self._breaker, self._priority = limits, limiter, breaker, priority
        self._secrets = {x for x in secrets if len(x) >= 6}
        self._deadline, self._patience, self._most = deadline, patience, most
        self._sleep, self._clock = sleep, clock
        self._session = transport.session()
        self.skew: timedelta | None = None

    def hide(self, secret: str) -> None:
        """Keep a value got later, such as an access token, out of every error."""
        if len(secret) >= 6:
            self._secrets.add(secret)

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
    ) -> Answer:
        """Send a request within the budget and return the whole answer.

        Raises:
            Throttled, Unauthorized, Forbidden, Refused, Unavailable: by status, or because nothing complete came.
            Down: the host has not answered for some time; nothing was sent.
            Malformed: the body is longer than allowed or does not unpack.
        """
        self._allowed.check(url, operation)
        host = urlsplit(url).netloc
        leave = self._ask_leave(host, operation)
        limit = self._limits.get(operation) if throttled else None
        if limit:
            self._wait_for_budget(operation, limit)
        self.calls[operation] += 1
        try:
            status, answered, body = self._exchange(method, url, operation, headers, params, json, data)
            if limit:
                self._learn(operation, limit, answered)
            if status >= 300:
                raise self._error(operation, status, answered, body, limit)
        except BorderError as error:
            self._tell(host, leave, error)
            raise
        self._tell(host, leave)
        return Answer(status=status, headers=answered, body=body, redact=self.redact)

    def _ask_leave(self, host: str, operation: str) -> Leave:
        leave = self._breaker.ask(self.account, host) if self._breaker else Leave()
        if leave.wait > 0:
            after = timedelta(seconds=leave.wait)
            told = (
                f"{host} does not answer; we ask again at {self._clock() + after:%H:%M:%S} UTC. Last time: {leave.why}"
            )
            raise Down(told, operation, after=after)
        return leave

    def _tell(self, host: str, leave: Leave, error: BorderError | None = None) -> None:
        """Tell the breaker how it went; whoever refuses us is there."""
        if self._breaker is None:
            return
        if isinstance(error, Unavailable):
            self._breaker.failed(self.account, host, error.message)
        else:
            self._breaker.answered(self.account, host, leave)

    def _wait_for_budget(self, operation: str, limit: Limit) -> None:
        waited = 0.0
        while (wait := self._limiter.acquire(self.account, operation, limit, self._priority, waited)) > 0:
            if waited + wait > self._patience:
                raise Throttled("Our share of calls is used up for now.", operation, after=timedelta(seconds=wait))
            self._sleep(wait)
            waited += wait

    def _exchange(
        self,
        method: str,
        url: str,
        operation: str,
        headers: Mapping[str, str] | None,
        params: Any,
        json: Any,
        data: Any,
    ) -> tuple[int, dict[str, str], bytes]:
        with transport.Deadline(self._deadline) as deadline:
            try:
                answer = self._session.request(
                    method, url, headers=dict(headers or {}), params=params, json=json, data=data,
                    timeout=self._deadline, allow_redirects=False, stream=True,
                )  # fmt: skip
                with answer:
                    answered = {key.lower(): value for key, value in answer.headers.items()}
                    self._compare_clocks(answered)
                    most = self._most if answer.status_code < 300 else _ERROR_BYTES
                    body = self._body(answer, answered, most)
                if answer.status_code < 300 and answer.status_code != 204 and _may_be_cut(answered, body):
                    raise Unavailable("Nothing tells where the answer ends: it may have been cut off.", operation)
                if deadline.expired:  # a cut connection without a stated length looks like a finished one
                    raise requests.Timeout
            except Malformed as error:
                if answer.status_code >= 300:
                    return answer.status_code, answered, b""
                error.operation, error.status = operation, answer.status_code
                error.request_id = _request_id(answered)
                raise
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if deadline.expired or isinstance(error, requests.Timeout):
                    told = f"No complete answer within {self._deadline:g} seconds."
                else:
                    told = f"The connection failed before the answer was complete ({type(error).__name__})."
                raise Unavailable(told, operation) from None  # its text may carry the address with its parameters
        return answer.status_code, answered, body

    def _body(self, answer: requests.Response, headers: Mapping[str, str], most: int) -> bytes:
        chunks: Iterator[bytes] = answer.raw.stream(65536, decode_content=False)
        if _is_packed(headers) and answer.status_code != 204 and headers.get("content-length") != "0":
            return inflate(chunks, most=most)
        out = bytearray()
        for chunk in chunks:
            out += chunk
            if len(out) > most:
                raise Malformed(f"The answer is longer than {most:,} bytes.")
        return bytes(out)

    def _learn(self, operation: str, limit: Limit, headers: Mapping[str, str]) -> None:
        try:
            rate = float(next((headers[name] for name in _RATES if name in headers), ""))
        except ValueError:
            return
        if 0 < rate < 1e9:
            self._limiter.learn(self.account, operation, limit, rate)

    def _error(
        self, operation: str, status: int, headers: Mapping[str, str], body: bytes, limit: Limit | None
    ) -> BorderError:
        told: dict[str, Any] = {
            "operation": operation,
            "status": status,
            "request_id": _request_id(headers),
            "excerpt": self.redact(body.decode("utf-8", "replace")),
        }
        if status == 429:
            seconds = self._retry_after(headers)
            if limit:
                seconds = self._limiter.close(self.account, operation, limit, seconds)
            after = timedelta(seconds=60.0 if seconds is None else seconds)
            return Throttled("The marketplace asks us to slow down.", **told, after=after)
        if status == 401:
            return Unauthorized("The marketplace refused our sign-in.", **told)
        if status == 403:
            return Forbidden("The marketplace says we have no right to this.", **told)
        if status < 400:
            return Refused("The marketplace sent us to another address; we do not follow.", **told)
        if status < 500 and status not in (408, 425):
            return Refused("The marketplace refused the request as we sent it.", **told)
        return Unavailable("The marketplace is out of order just now.", **told)

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        stated = headers.get("retry-after", "").strip()
        if stated.isdecimal():
            return min(float(stated), _LONGEST_WAIT)
        try:
            moment = parsedate_to_datetime(stated)
        except (TypeError, ValueError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        theirs = self._clock() + (self.skew or timedelta())  # it is their clock that says when we may come back
        return min(max(0.0, (moment - theirs).total_seconds()), _LONGEST_WAIT)

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        try:
            moment = parsedate_to_datetime(headers["date"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        self.skew = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - self._clock()

    def redact(self, text: str) -> str:
        """The beginning of a text without secrets and addresses of people."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _SECRETS.sub("***", text)[:_EXCERPT]


def _may_be_cut(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether only the end of the connection ended this body, and the body itself would not show a cut."""
    if {"content-length", "transfer-encoding"} & headers.keys() or _is_packed(headers):
        return False
    return "json" not in headers.get("content-type", "").lower() and body[:2] != _GZIP


def _is_packed(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "").lower() in _PACKED


def _request_id(headers: Mapping[str, str]) -> str:
    return next((headers[name][:100] for name in _REQUEST_IDS if name in headers), "")
