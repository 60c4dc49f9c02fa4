"""The catalog in the admin: the product master to edit, listings to follow, unknown offers to map."""

from catalog.admin.listings import ListingAdmin
from catalog.admin.products import BrandAdmin, IdentifierAdmin, ProductAdmin, SkuAdmin
from catalog.admin.unmapped import UnmappedItemAdmin

__all__ = ["BrandAdmin", "IdentifierAdmin", "ListingAdmin", "ProductAdmin", "SkuAdmin", "UnmappedItemAdmin"]
