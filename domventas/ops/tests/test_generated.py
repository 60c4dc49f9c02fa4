"""The documentation's tables say what the code says."""

from __future__ import annotations

from domventas.ops import generated


def test_generated_pages_are_fresh() -> None:
    assert generated.stale() == [], "run `manage.py docs`"
