"""The marketplace sites, shipped with the connectors as data."""

from __future__ import annotations

from marketplaces.models import Site
from marketplaces.registry import connectors

_SHIPPED = ("channel", "label", "country", "currency", "zone", "external_id", "region")


def sync_sites(*, using: str = "default") -> int:
    """Bring the table of sites in line with the connectors; returns how many they ship. Sites are never deleted."""
    rows = [
        Site(
            code=spec.code,
            channel=connector.name,
            label=spec.label,
            country=spec.country,
            currency=spec.currency,
            zone=spec.zone,
            external_id=spec.external_id,
            region=spec.region,
        )
        for connector in connectors.values()
        for spec in connector.sites
    ]
    known = {site.code: site for site in Site.objects.using(using).all()}
    changed = [row for row in rows if row.code not in known or _says(row) != _says(known[row.code])]
    Site.objects.using(using).bulk_create(
        changed, update_conflicts=True, unique_fields=["code"], update_fields=list(_SHIPPED)
    )
    return len(rows)


def _says(site: Site) -> tuple[str, ...]:
    return tuple(getattr(site, name) for name in _SHIPPED)
