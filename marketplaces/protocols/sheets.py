"""From the bytes of a file people download to its cells: charset, decimal mark and dates in all their dialects."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from marketplaces.errors import Malformed

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARKED = re.compile(r"[.,]\d{1,2}$|[.,]\d{4,}$")
_POINT = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")
_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?")
#: An amount as nearly all are written: a Decimal takes it as it is.
is_usual_amount = re.compile(r"-?\d+\.\d+", re.ASCII).fullmatch
_DATES = (
    "%Y-%m-%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y-%m-%d",
)


@dataclass(frozen=True)
class Row:
    """One data row; `number` counts the lines of the file from 1, its header included, as a spreadsheet does."""

    number: int
    values: dict[str, str]

    def refuse(self, field: str, why: str) -> Malformed:
        """An error a finance person can find again."""
        return Malformed(f"Row {self.number}, field {field}: {why}", path=f"row {self.number}.{field}")


def decode(body: bytes, content_type: str = "") -> tuple[str, str]:
    """The text and the name of the charset it was in.

    A file that is valid UTF-8 is UTF-8, whatever its label says: German text in another charset never is by chance.
    NUL, which can be stored nowhere, becomes U+FFFD.
    """
    text, charset = _decoded(body, content_type)
    return text.replace("\0", "\ufffd") if "\0" in text else text, charset


def _decoded(body: bytes, content_type: str) -> tuple[str, str]:
    for bom, charset in _BOMS:
        if body.startswith(bom):
            return _strict(body, charset), charset.removesuffix("-sig")
    if body[:200].count(b"\0") > len(body[:200]) // 4:
        charset = "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
        return _strict(body, charset), charset
    stated = re.search(r"charset=\"?([\w-]+)", content_type, re.IGNORECASE)
    tried = ["utf-8", stated[1] if stated else "cp1252", "cp1252", "latin-1"]
    for charset in tried:
        try:
            return body.decode(charset), codecs.lookup(charset).name
        except (UnicodeDecodeError, LookupError):
            continue
    raise Malformed("The file's characters cannot be read.")  # latin-1 reads anything; kept for the type checker


def _strict(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise Malformed(
            f"The file begins as {charset.upper()}, but is cut or damaged at byte {error.start}."
        ) from error


def _plain(text: str) -> str:
    for blank in ("\u00a0", "\u202f", " "):
        text = text.replace(blank, "")
    return text.replace("\u2212", "-")


def decimal_mark(amounts: Iterable[str]) -> str:
    """`,` or `.`, by the first amount that tells; `.` when none does.

    An amount such as `1,234` tells nothing: it may be a thousand or one and a bit.
    """
    for amount in amounts:
        plain = _plain(amount)
        if "," in plain and "." in plain:
            return max(",.", key=plain.rfind)
        if _MARKED.search(plain):
            return "," if "," in plain else "."
    return "."


def number(row: Row, field: str, mark: str) -> Decimal:
    """An amount in the file's own decimal mark; an amount in the other one is refused, not reinterpreted."""
    text = row.values.get(field, "")
    if mark == "." and is_usual_amount(text):
        return Decimal(text)
    plain = _plain(text)
    if not (_COMMA if mark == "," else _POINT).fullmatch(plain):
        name = "comma" if mark == "," else "point"
        raise row.refuse(field, f"“{text[:40]}” is no amount with a decimal {name}, as this file writes them.")
    return Decimal(plain.replace(".", "").replace(",", ".") if mark == "," else plain.replace(",", ""))


def moment(row: Row, field: str) -> datetime | None:
    """A time in UTC; blank reads as None."""
    text = row.values.get(field, "")
    if not text:
        return None
    found = moment_in(text)
    if found is None:
        raise row.refuse(field, f"“{text[:40]}” is no date we can read without guessing.")
    return found


@lru_cache(maxsize=1024)  # the rows of one order stand together and say the same moment
def moment_in(text: str) -> datetime | None:
    """The time in UTC, None when it cannot be read without guessing."""
    plain = re.sub(r"\s*(UTC|GMT)$", "", text)
    for pattern in _DATES:
        try:
            return datetime.strptime(plain, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        found = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
