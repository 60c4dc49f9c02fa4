"""Country codes of three letters, which some marketplaces write, and ours of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Countries of Europe parcels go to and come from: two letters → three.
EUROPE: Final[Mapping[str, str]] = {
    "AT": "AUT", "BE": "BEL", "BG": "BGR", "CH": "CHE", "CZ": "CZE", "DE": "DEU", "DK": "DNK", "EE": "EST",
    "ES": "ESP", "FI": "FIN", "FR": "FRA", "GB": "GBR", "GR": "GRC", "HR": "HRV", "HU": "HUN", "IE": "IRL",
    "IT": "ITA", "LT": "LTU", "LU": "LUX", "LV": "LVA", "NL": "NLD", "PL": "POL", "PT": "PRT", "RO": "ROU",
    "SE": "SWE", "SI": "SVN", "SK": "SVK", "TR": "TUR",
}  # fmt: skip
_OTHERS: Final = {
    "AU": "AUS", "CA": "CAN", "CY": "CYP", "IS": "ISL", "LI": "LIE", "MC": "MCO", "MT": "MLT", "NO": "NOR",
    "NZ": "NZL", "US": "USA",
}  # fmt: skip
_TWO: Final = {three: two for two, three in {**EUROPE, **_OTHERS}.items()}


def two_letters(code: str | None) -> str | None:
    """The code in two letters; one we do not know stays as it is, as its first two mean another country."""
    return _TWO.get(code.upper(), code) if code else None
