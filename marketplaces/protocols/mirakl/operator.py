"""What one operator of the protocol settles for itself: its address, site and currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketplaces.port import SiteSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Facts of one marketplace that runs on the protocol.

    Attributes:
        site: the one site its shops sell on.
        categories: the operator's category code → ours; codes not named stand for themselves.
    """

    site: SiteSpec
    categories: Mapping[str, str] = field(default_factory=dict)

    def category(self, code: str | None) -> str | None:
        """Our category of an operator's code; None stays None."""
        return self.categories.get(code, code) if code else None
