"""Invented people: names and addresses in the country of the site, nobody real."""

from __future__ import annotations

from random import Random

from .model import Buyer

_FIRST = {
    "DE": ("Jürgen", "Anja", "Björn", "Käthe", "Lukas", "Sören", "Mareike", "Uwe", "Zoë", "Jörg"),
    "FR": ("Hélène", "Chloé", "Théo", "Inès", "François", "Gaëlle", "Rémi", "Zélie"),
    "US": ("Emma", "Noah", "Olivia", "Liam", "Ava", "Mason", "Harper", "Logan"),
    "AU": ("Charlotte", "Jack", "Isla", "Oliver", "Matilda", "Cooper", "Ruby", "Angus"),
}
_LAST = {
    "DE": ("Müller", "Schröder", "Weiß", "Köhler", "Lößner", "Brandt", "Yıldız", "Öztürk"),
    "FR": ("Lefèvre", "Gérard", "Beaumont", "Noël", "Dupré", "Mercier"),
    "US": ("Hartwell", "O'Connor", "Ramirez", "Whitfield", "Nguyen", "Castle"),
    "AU": ("Fairweather", "Kelly", "Drummond", "Walsh", "Nguyen", "Birch"),
}
_STREETS = {
    "DE": ("Goethestraße", "Am Mühlbach", "Kölner Weg", "Großer Platz"),
    "FR": ("rue de l'Église", "avenue des Érables", "place du Marché", "allée des Chênes"),
    "US": ("Maple Ave", "Juniper St", "Lakeview Dr", "2nd St"),
    "AU": ("Wattle St", "Banksia Rd", "Harbour Pde", "Ironbark Ct"),
}
_TOWNS = {
    "DE": (("10115", "Berlin", "BE"), ("50667", "Köln", "NW"), ("80331", "München", "BY"), ("24103", "Kiel", "SH")),
    "FR": (
        ("69001", "Lyon", "ARA"),
        ("44000", "Nantes", "PDL"),
        ("75011", "Paris", "IDF"),
        ("67000", "Strasbourg", "GES"),
    ),
    "US": (
        ("97205", "Portland", "OR"),
        ("78701", "Austin", "TX"),
        ("60601", "Chicago", "IL"),
        ("02108", "Boston", "MA"),
    ),
    "AU": (
        ("3000", "Melbourne", "VIC"),
        ("4000", "Brisbane", "QLD"),
        ("6000", "Perth", "WA"),
        ("7000", "Hobart", "TAS"),
    ),
}
_COUNTRY = {"amazon.de": "DE", "amazon.fr": "FR", "amazon.com": "US", "bunnings.com.au": "AU", "otto.de": "DE"}
_DIAL = {"DE": "+49", "FR": "+33", "US": "+1", "AU": "+61"}


def make_buyer(rng: Random, site: str, order_ref: str) -> Buyer:
    """One person; the e-mail address is the marketplace's alias for this order."""
    country = _COUNTRY[site]
    postal_code, city, region = rng.choice(_TOWNS[country])
    return Buyer(
        name=f"{rng.choice(_FIRST[country])} {rng.choice(_LAST[country])}",
        email=f"{order_ref.lower().replace('-', '')}@marketplace.{site}.example",
        phone=f"{_DIAL[country]} 555 {rng.randrange(10**6):06d}",
        street=f"{rng.choice(_STREETS[country])} {rng.randrange(1, 190)}",
        postal_code=postal_code,
        city=city,
        region=region,
        country=country,
    )
