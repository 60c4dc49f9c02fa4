"""The runbooks of `docs/runbooks` as pages draw them: what an alarm means and what to do, beside the alarm.

They are written in the few marks of Markdown that they use; whatever else they hold is shown as it stands, escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import slugify

FOLDER: Final = Path(settings.BASE_DIR) / "docs" / "runbooks"
_NAME: Final = re.compile(r"[a-z0-9_-]{1,60}")
_MARKS: Final = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\*(.+?)\*|\[([^\]]+)\]\(([^)]+)\)")
_ITEM: Final = re.compile(r"(?:-|\d+\.) +(.*)")
_RULE: Final = re.compile(r"\|[\s:|-]+\|")

Address = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a runbook. `kind`: heading, paragraph, points, steps or table; the rest is what that kind holds.

    `rows` of a table: an anchor made of the first cell, and the cells.
    """

    kind: str
    text: SafeString | str = ""
    items: Sequence[SafeString] = ()
    head: Sequence[SafeString] = ()
    rows: Sequence[tuple[str, Sequence[SafeString]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """One runbook with its blocks in order."""

    name: str
    title: str
    blocks: Sequence[Block]


@cache
def names() -> tuple[str, ...]:
    """What there is, by name; nothing where the documentation is not installed."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


def title(name: str) -> str:
    """Its first line. Raises: LookupError: there is none of that name."""
    return _text(name).partition("\n")[0].lstrip("# ")


def runbook(name: str, *, address: Address) -> Runbook:
    """Read one; `address` says where another one is shown. Raises: LookupError: there is none of that name."""
    _first, _newline, body = _text(name).partition("\n")
    parts = [part for part in re.split(r"\n\s*\n", body.strip()) if part.strip()]
    return Runbook(name=name, title=title(name), blocks=[block for part in parts for block in _blocks(part, address)])


def anchor(words: str) -> str:
    """Where on its page a row of a table stands that begins with these words; "" for words without letters."""
    return slugify(words)


@cache
def _text(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise LookupError(name)
    try:
        return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LookupError(name) from None


def _blocks(part: str, address: Address) -> Iterator[Block]:
    """Usually one; a heading may have its paragraph right beneath, and a paragraph its list."""
    lines = part.splitlines()
    if lines[0].startswith("#"):
        yield Block(kind="heading", text=_spans(lines[0].lstrip("# "), address))
        lines = lines[1:]
    at = next((n for n, line in enumerate(lines) if line.startswith("|") or _ITEM.match(line)), len(lines))
    if at:
        yield Block(kind="paragraph", text=_spans(" ".join(lines[:at]), address))
    if at == len(lines):
        return
    if lines[at].startswith("|"):
        yield _table(lines[at:], address)
    else:
        kind = "points" if lines[at].startswith("-") else "steps"
        yield Block(kind=kind, items=[_spans(item, address) for item in _items(lines[at:])])


def _items(lines: Sequence[str]) -> Iterator[str]:
    item = ""
    for line in lines:
        if found := _ITEM.match(line):
            if item:
                yield item
            item = found[1]
        else:
            item += f" {line.strip()}"
    yield item


def _table(lines: Sequence[str], address: Address) -> Block:
    head, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines
                   if not _RULE.fullmatch(line.strip()))  # fmt: skip
    return Block(
        kind="table",
        head=[_spans(cell, address) for cell in head],
        rows=[(anchor(row[0]), [_spans(cell, address) for cell in row]) for row in rows],
    )


def _spans(text: str, address: Address) -> SafeString:
    """Code, bold, italics and links to other runbooks; everything else as it stands."""
    parts: list[SafeString | str] = []
    at = 0
    for found in _MARKS.finditer(text):
        parts += [text[at : found.start()], _mark(found, address)]
        at = found.end()
    return format_html_join("", "{}", ((part,) for part in [*parts, text[at:]]))


def _mark(found: re.Match[str], address: Address) -> SafeString:
    code, bold, italic, words, target = found.groups()
    if code:
        linked = code.removesuffix(".md") if code.endswith(".md") else ""
        shown = format_html("<code>{}</code>", code)
        return format_html('<a href="{}">{}</a>', address(linked), shown) if linked in names() else shown
    if bold:
        return format_html("<b>{}</b>", _spans(bold, address))
    if italic:
        return format_html("<i>{}</i>", _spans(italic, address))
    name = target.removesuffix(".md")
    return format_html('<a href="{}">{}</a>', address(name), words) if name in names() else format_html("{}", words)
