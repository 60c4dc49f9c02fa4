"""Amazon's sites: where they are, in which currency they sell, which hosts answer for them."""

from __future__ import annotations

from marketplaces.port import SiteSpec

_TOKEN = "https://api.amazon.com/auth"  # noqa: S105  # an address, not a secret
_API = {
    "eu": "https://sellingpartnerapi-eu.amazon.com",
    "na": "https://sellingpartnerapi-na.amazon.com",
    "fe": "https://sellingpartnerapi-fe.amazon.com",
}


def _site(domain: str, country: str, currency: str, zone: str, external_id: str, region: str) -> SiteSpec:
    return SiteSpec(
        code=domain,
        label=domain.capitalize(),
        country=country,
        currency=currency,
        zone=zone,
        external_id=external_id,
        region=region,
        # Report documents lie in storage buckets whose names Amazon does not promise.
        hosts={"api": _API[region], "token": _TOKEN, "documents": "https://*.amazonaws.com"},
        sandbox_paths={"api": f"/amazon/{region}", "token": "/amazon/auth", "documents": "/amazon/documents"},
    )


SITES = (
    _site("amazon.de", "DE", "EUR", "Europe/Berlin", "A1PA6795UKMFR9", "eu"),
    _site("amazon.fr", "FR", "EUR", "Europe/Paris", "A13V1IB3VIYZZH", "eu"),
    _site("amazon.it", "IT", "EUR", "Europe/Rome", "APJ6JRA9NG5V4", "eu"),
    _site("amazon.es", "ES", "EUR", "Europe/Madrid", "A1RKKUPIHCS9HS", "eu"),
    _site("amazon.nl", "NL", "EUR", "Europe/Amsterdam", "A1805IZSGTT6HS", "eu"),
    _site("amazon.com.be", "BE", "EUR", "Europe/Brussels", "AMEN7PMS3EDWL", "eu"),
    _site("amazon.se", "SE", "SEK", "Europe/Stockholm", "A2NODRKZP88ZB9", "eu"),
    _site("amazon.pl", "PL", "PLN", "Europe/Warsaw", "A1C3SOZRARQ6R3", "eu"),
    _site("amazon.co.uk", "GB", "GBP", "Europe/London", "A1F83G8C2ARO7P", "eu"),
    _site("amazon.ie", "IE", "EUR", "Europe/Dublin", "A28R8C7NBKEWEA", "eu"),
    _site("amazon.com.tr", "TR", "TRY", "Europe/Istanbul", "A33AVAJ2PDY3EV", "eu"),
    _site("amazon.ae", "AE", "AED", "Asia/Dubai", "A2VIGQ35RCS4UG", "eu"),
    _site("amazon.sa", "SA", "SAR", "Asia/Riyadh", "A17E79C6D8DWNP", "eu"),
    _site("amazon.eg", "EG", "EGP", "Africa/Cairo", "ARBP9OOSHTCHU", "eu"),
    _site("amazon.in", "IN", "INR", "Asia/Kolkata", "A21TJRUUN4KGV", "eu"),
    _site("amazon.co.za", "ZA", "ZAR", "Africa/Johannesburg", "AE08WJ6YKNBMC", "eu"),
    _site("amazon.ca", "CA", "CAD", "America/Toronto", "A2EUQ1WTGCTBG2", "na"),
    _site("amazon.com.mx", "MX", "MXN", "America/Mexico_City", "A1AM78C64UM0Y8", "na"),
    _site("amazon.com.br", "BR", "BRL", "America/Sao_Paulo", "A2Q3Y263D00KWC", "na"),
    _site("amazon.co.jp", "JP", "JPY", "Asia/Tokyo", "A1VC38T7YXB528", "fe"),
    _site("amazon.sg", "SG", "SGD", "Asia/Singapore", "A19VAU5U5O7RUS", "fe"),
    _site("amazon.com", "US", "USD", "America/Los_Angeles", "ATVPDKIKX0DER", "na"),
    _site("amazon.com.au", "AU", "AUD", "Australia/Sydney", "A39IBJ37TRP1C6", "fe"),
)
BY_ID = {site.external_id: site for site in SITES}
BY_CODE = {site.code: site for site in SITES}
