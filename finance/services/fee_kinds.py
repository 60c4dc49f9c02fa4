"""What a marketplace's own words for a money line mean: exact words first, then the longest pattern that fits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finance.models import FeeKindMap
from marketplaces.records import FeeKind, MoneyClass, MoneyEvent


@dataclass(frozen=True, slots=True)
class Meaning:
    """Event and kind of a raw type; the event is None when nobody has mapped the words yet."""

    event: MoneyEvent | None
    kind: FeeKind

    @property
    def money_class(self) -> MoneyClass:
        """Profit, tax position or cash movement."""
        return self.kind.money_class


UNMAPPED = Meaning(None, FeeKind.UNKNOWN)


class KindBook:
    """The mappings of one channel of the acting client."""

    def __init__(self, rows: Iterable[tuple[str, str, str]]) -> None:
        self._exact: dict[str, Meaning] = {}
        self._patterns: list[tuple[re.Pattern[str], Meaning]] = []
        patterns: list[tuple[str, Meaning]] = []
        for pattern, event, kind in rows:
            meaning = Meaning(MoneyEvent(event), FeeKind(kind))
            if "*" in pattern:
                patterns.append((pattern.casefold(), meaning))
            else:
                self._exact[pattern.casefold()] = meaning
        for pattern, meaning in sorted(patterns, key=lambda row: (-len(row[0]), row[0])):
            words = ".*".join(re.escape(part) for part in pattern.split("*"))
            self._patterns.append((re.compile(words, re.DOTALL), meaning))

    @classmethod
    def of_channel(cls, channel: str) -> KindBook:
        """All mappings of a channel, one query."""
        return cls(FeeKindMap.objects.filter(channel=channel).values_list("pattern", "event", "kind"))

    def meaning(self, raw_type: str) -> Meaning:
        """Event and kind; `UNMAPPED` when no row fits, never a guess."""
        words = raw_type.casefold()
        if words in self._exact:
            return self._exact[words]
        return next((meaning for pattern, meaning in self._patterns if pattern.fullmatch(words)), UNMAPPED)

    def of_kind(self, raw_types: Iterable[str], kind: FeeKind) -> list[str]:
        """Those of the raw types that mean this kind."""
        return [raw_type for raw_type in raw_types if self.meaning(raw_type).kind is kind]
