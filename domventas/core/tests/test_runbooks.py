"""Runbooks stand beside their alarms as they are written, and nothing in them becomes markup by accident."""

from __future__ import annotations

import re

import pytest
from django.utils.html import strip_tags

from domventas.core import runbooks
from domventas.core.runbooks import _spans


def address(name: str) -> str:
    return f"/books/{name}/"


@pytest.mark.parametrize("name", runbooks.names())
def test_every_runbook_is_read_to_its_end(name: str) -> None:
    book = runbooks.runbook(name, address=address)
    assert book.title and not book.title.startswith("#") and book.blocks
    shown: list[str] = []
    for block in book.blocks:
        shown += [block.text, *block.items, *block.head, *(cell for _at, cells in block.rows for cell in cells)]
        assert all(len(cells) == len(block.head) for _at, cells in block.rows), f"{block.head}: a row has other columns"
    told = re.sub(r"<code>.*?</code>", "", " ".join(shown))
    assert not re.search(r"\*\*|\]\(|`|^\|", told), "a mark nobody has read"
    words = re.findall(r"\w+", (runbooks.FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    seen = re.findall(r"\w+", strip_tags(f"{book.title} {' '.join(shown)}"))
    assert len(seen) >= 0.9 * len(words), "something was left out"


def test_marks_become_tags_and_everything_else_is_escaped() -> None:
    text = "**Look** at *Task runs*, `a<b`, `border.md`, [there](sign-in.md) and [not here](../faults.md) <script>"
    assert _spans(text, address) == (
        '<b>Look</b> at <i>Task runs</i>, <code>a&lt;b</code>, <a href="/books/border/"><code>border.md</code></a>, '
        '<a href="/books/sign-in/">there</a> and not here &lt;script&gt;'
    )


@pytest.mark.parametrize("name", ["nothing", "../glossary", "", "a" * 99])
def test_what_is_no_runbook_is_not_found(name: str) -> None:
    with pytest.raises(LookupError):
        runbooks.runbook(name, address=address)
