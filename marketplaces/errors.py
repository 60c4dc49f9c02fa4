"""What can go wrong at a marketplace's border, sorted by what the caller has to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass
class BorderError(Exception):
    """A call to the outside failed. Holds what support asks for, never a secret and never a whole body.

    Attributes:
        message: what happened, in words an operations person understands.
        operation: the connector's name for the call, for example `orders.search`.
        status: HTTP status, None when no answer came.
        request_id: the provider's own id of the request, when it gave one.
        excerpt: at most a few hundred redacted characters of the answer.
    """

    message: str
    operation: str = ""
    status: int | None = None
    request_id: str = ""
    excerpt: str = field(default="", repr=False)

    def __str__(self) -> str:
        where = f" [{self.operation}" + (f" {self.status}" if self.status else "") + "]" if self.operation else ""
        return f"{self.message}{where}"


@dataclass
class Later(BorderError):
    """Not now: ask again after `after`. It counts as no attempt and is nobody's failure."""

    after: timedelta = timedelta(seconds=60)


@dataclass
class Throttled(Later):
    """Too many requests, by the marketplace's word or by our own budget. Nothing is wrong."""


@dataclass
class Down(Later):
    """The marketplace gave no answer several times in a row, so we have not asked. Nothing was sent."""


@dataclass
class Unavailable(BorderError):
    """No answer, half an answer or a server error: another try may heal it."""


@dataclass
class NotReady(Later):
    """A report or submission is not finished."""


@dataclass
class Unauthorized(BorderError):
    """The credential was refused: stop this account, people have to act."""


@dataclass
class Forbidden(Unauthorized):
    """Signed in, but without the right to this: its flow waits until people have granted it, the others go on."""


@dataclass
class Refused(BorderError):
    """The request itself was refused; sending it again changes nothing."""


@dataclass
class Malformed(BorderError):
    """The answer has not the agreed shape: the bytes are kept, the record is quarantined.

    Attributes:
        is_document: the answer came whole and is in the archive; what it says cannot be read.
    """

    path: str = ""
    is_document: bool = False
