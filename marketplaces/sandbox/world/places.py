"""The demo client's accounts and sites, and what each marketplace's fee schedule says there (illustrative, 2026)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One marketplace site. `vat_percent` is inside the prices where `tax_included`, else added on top."""

    code: str
    external_id: str
    name: str
    country: str
    language: str
    currency: str
    zone: str
    vat_percent: int
    tax_included: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One seller account.

    Attributes:
        share: its orders for every order of the world's count; Otto's come on top of that count.
        settled_days_ago: its weekly period ended so many days before the world's now, at `settles_at` (UTC).
        overdue_days: days after delivery from which a payment is late by the marketplace's terms.
    """

    code: str
    marketplace: str
    external_id: str
    region: str
    currency: str
    sites: tuple[tuple[str, float], ...]
    share: float
    overdue_days: int
    refresh_token: str = ""
    settled_days_ago: int = 0
    settles_at: tuple[int, int, int] = (0, 0, 0)


SITES = {
    site.code: site
    for site in (
        Site(
            code="amazon.de",
            external_id="A1PA6795UKMFR9",
            name="Amazon.de",
            country="DE",
            language="de_DE",
            currency="EUR",
            zone="Europe/Berlin",
            vat_percent=19,
            tax_included=True,
        ),
        Site(
            code="amazon.fr",
            external_id="A13V1IB3VIYZZH",
            name="Amazon.fr",
            country="FR",
            language="fr_FR",
            currency="EUR",
            zone="Europe/Paris",
            vat_percent=20,
            tax_included=True,
        ),
        Site(
            code="amazon.com",
            external_id="ATVPDKIKX0DER",
            name="Amazon.com",
            country="US",
            language="en_US",
            currency="USD",
            zone="America/Los_Angeles",
            vat_percent=7,
            tax_included=False,
        ),
        Site(
            code="bunnings.com.au",
            external_id="BUNNINGS",
            name="Bunnings Marketplace",
            country="AU",
            language="en_AU",
            currency="AUD",
            zone="Australia/Melbourne",
            vat_percent=10,
            tax_included=True,
        ),
        Site(
            code="otto.de",
            external_id="OTTO",
            name="otto.de",
            country="DE",
            language="de_DE",
            currency="EUR",
            zone="Europe/Berlin",
            vat_percent=19,
            tax_included=True,
        ),
    )
}

ACCOUNTS = {
    account.code: account
    for account in (
        Account(
            code="amazon-eu",
            marketplace="amazon",
            external_id="A2DOMVENTASEU",
            region="eu",
            currency="EUR",
            sites=(("amazon.de", 0.65), ("amazon.fr", 0.35)),
            share=0.55,
            refresh_token="Atzr|sandbox-eu",  # noqa: S106 (public sandbox secret)
            overdue_days=19,
            settled_days_ago=5,
            settles_at=(6, 42, 17),
        ),
        Account(
            code="amazon-us",
            marketplace="amazon",
            external_id="A1DOMVENTASUS",
            region="na",
            currency="USD",
            sites=(("amazon.com", 1.0),),
            share=0.20,
            refresh_token="Atzr|sandbox-us",  # noqa: S106 (public sandbox secret)
            overdue_days=19,
            settled_days_ago=3,
            settles_at=(13, 5, 44),
        ),
        Account(
            code="bunnings-au",
            marketplace="bunnings",
            external_id="2042",
            region="au",
            currency="AUD",
            sites=(("bunnings.com.au", 1.0),),
            share=0.25,
            overdue_days=9,
        ),
        Account(
            code="otto-de",
            marketplace="otto",
            external_id="1000871",
            region="de",
            currency="EUR",
            sites=(("otto.de", 1.0),),
            share=0.15,
            overdue_days=45,
        ),
    )
}

# Basis points of the price. Beauty costs less up to 10.00.
_EU = {"home_kitchen": 1500, "sports": 1500, "tools": 1300, "lighting": 1200}
_US = {"home_kitchen": 1500, "sports": 1500, "tools": 1200, "lighting": 1500}
_AU = {"tools": 1200, "home_kitchen": 1400, "lighting": 1250, "sports": 1300, "beauty": 1300}
# Otto charges less of dear articles: up to 50.00, up to 150.00, above.
_OTTO_STEPS = (5_000, 15_000)
_OTTO = {
    "home_kitchen": (1500, 1400, 1300),
    "lighting": (1600, 1500, 1400),
    "sports": (1500, 1450, 1400),
    "tools": (1400, 1300, 1200),
    "beauty": (1500, 1500, 1500),
}
_TOOLS_CHEAPER_FROM = date(2026, 10, 1)

_FBA_BANDS_G = (250, 500, 1000, 2000, 5000, 20000)
_FBA_CENTS = {
    "amazon.de": (281, 325, 405, 521, 693, 988),
    "amazon.fr": (342, 393, 495, 634, 816, 1140),
    "amazon.com": (322, 377, 475, 586, 791, 1137),
}


def half_up(numerator: int, denominator: int) -> int:
    """Nearest integer of numerator / denominator, halves away from zero; denominator positive."""
    magnitude = (abs(numerator) * 2 + denominator) // (denominator * 2)
    return magnitude if numerator >= 0 else -magnitude


def sale_day(site: str, created_at: datetime) -> date:
    """The calendar day of the sale where the site is."""
    return created_at.astimezone(ZoneInfo(SITES[site].zone)).date()


def referral_points(site: str, category: str, basis_cents: int, day: date) -> int:
    """Referral rate [basis points] on a basis of so many cents for a sale on that day."""
    if site == "bunnings.com.au":
        return _AU[category]
    if category == "beauty":
        return 800 if basis_cents <= 1000 else 1500
    if site == "amazon.de" and category == "tools" and day >= _TOOLS_CHEAPER_FROM:
        return 1200
    return (_US if site == "amazon.com" else _EU)[category]


def referral_cents(site: str, category: str, basis_cents: int, day: date) -> int:
    """Referral fee before tax: rate × basis, half-up, never below 0.30 on Amazon."""
    fee = half_up(basis_cents * referral_points(site, category, basis_cents, day), 10_000)
    return fee if site == "bunnings.com.au" else max(fee, 30)


def otto_points(category: str, goods_cents: int) -> int:
    """Otto's commission [basis points] on a piece that costs so much, tax included and delivery left out."""
    return _OTTO[category][sum(goods_cents >= step for step in _OTTO_STEPS)]


def fba_unit_cents(site: str, weight_g: int) -> int:
    """Fulfillment fee of one unit before tax, by weight band."""
    band = next(i for i, limit in enumerate(_FBA_BANDS_G) if weight_g <= limit)
    return _FBA_CENTS[site][band]


def fee_tax_cents(site: str, fee_cents: int) -> int:
    """Tax the marketplace adds to its own fee; none in the United States."""
    return 0 if site == "amazon.com" else half_up(fee_cents * SITES[site].vat_percent, 100)


def tax_inside(site: str, gross_cents: int) -> int:
    """The tax contained in a price that includes it."""
    percent = SITES[site].vat_percent
    return half_up(gross_cents * percent, 100 + percent)
