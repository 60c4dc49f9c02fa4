"""Bunnings Marketlink, Australia: an operator of the Mirakl protocol. Sign-in, limits and quirks: README.md."""

from __future__ import annotations

from marketplaces.port import SiteSpec
from marketplaces.protocols.mirakl import Operator, mirakl_connector

OPERATOR = Operator(
    site=SiteSpec(
        code="bunnings.com.au",
        label="Bunnings.com.au",
        country="AU",
        currency="AUD",
        zone="Australia/Melbourne",
        external_id="bunnings",
        hosts={"api": "https://marketlink.bunnings.com.au"},
        sandbox_paths={"api": "/bunnings"},
    ),
)

bunnings = mirakl_connector(name="bunnings", label="Bunnings", package=__name__, operator=OPERATOR)
