"""Listings as pages and detectors ask for them."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.models import Listing, Sku


def of_sku(sku: Sku) -> QuerySet[Listing]:
    """Where a SKU is offered."""
    return Listing.objects.filter(sku=sku).select_related("account", "site").order_by("account__code", "site__code")


def without_sku() -> QuerySet[Listing]:
    """Offers that cannot be costed or stocked, as nobody has said which SKU they are."""
    return Listing.objects.filter(sku=None).select_related("account", "site").order_by("offer_ref")
