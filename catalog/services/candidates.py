"""Which SKU an unknown offer probably is: a proposal for a person, never a decision.

The same number under any kind of identifier comes first, then a seller SKU spelled almost like ours, then the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from catalog.models import Identifier, Sku

#: Titles must share at least this part of their words.
_ENOUGH: Final = 0.5
_WORD: Final = re.compile(r"\w+")
_NOISE: Final = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A SKU and why; no SKU when nothing is near."""

    sku_id: int | None = None
    reason: str = ""


def proposals(items: Sequence[tuple[str, str, str]]) -> list[Proposal]:
    """One proposal for each (seller SKU, marketplace product id, title); two queries however many they are."""
    if not items:
        return []
    numbers = sorted({text for seller_sku, product_ref, _title in items for text in (seller_sku, product_ref) if text})
    rows = Identifier.objects.filter(value__in=numbers).order_by("kind", "channel")
    by_number = {value: (sku_id, kind) for value, sku_id, kind in rows.values_list("value", "sku_id", "kind")}
    skus = list(Sku.objects.exclude(status=Sku.Status.RETIRED).values_list("pk", "code", "name", "product__title"))
    by_code = _unique((_plain(code), pk) for pk, code, _name, _title in skus)
    words = [(pk, _words(f"{name} {title}")) for pk, _code, name, title in skus]
    return [_proposal(item, by_number, by_code, words) for item in items]


def _proposal(
    item: tuple[str, str, str],
    by_number: dict[str, tuple[int, str]],
    by_code: dict[str, int],
    words: list[tuple[int, frozenset[str]]],
) -> Proposal:
    seller_sku, product_ref, title = item
    for number in filter(None, (product_ref, seller_sku)):
        if number in by_number:
            sku_id, kind = by_number[number]
            return Proposal(
                sku_id, _("same %(kind)s: %(number)s") % {"kind": Identifier.Kind(kind).label, "number": number}
            )
    if seller_sku and (near := by_code.get(_plain(seller_sku))):
        return Proposal(near, _("seller SKU spelled almost alike"))
    wanted = _words(title)
    best, share = _nearest(wanted, words)
    if best is None:
        return Proposal()
    return Proposal(best, _("title shares %(share)d %% of its words") % {"share": round(share * 100)})


def _nearest(wanted: frozenset[str], words: list[tuple[int, frozenset[str]]]) -> tuple[int | None, float]:
    """The SKU with the most similar words (shared / all); none when two are equally near, or none is near enough."""
    ranked = sorted(
        ((len(wanted & have) / len(wanted | have), pk) for pk, have in words if wanted & have), reverse=True
    )
    if not ranked or ranked[0][0] < _ENOUGH or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, 0.0
    return ranked[0][1], ranked[0][0]


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Only what stands for one SKU."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for text, pk in pairs:
        if text in found:
            twice.add(text)
        found[text] = pk
    return {text: pk for text, pk in found.items() if text and text not in twice}


def _plain(code: str) -> str:
    return _NOISE.sub("", code.lower())


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text.lower()) if len(word) > 1)
