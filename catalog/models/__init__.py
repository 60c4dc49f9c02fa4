"""What we sell: brands, products, SKUs, their identifiers, and their listings at the marketplaces."""

from catalog.models.listings import Listing, UnmappedItem
from catalog.models.products import Brand, Identifier, Product, Sku

__all__ = ["Brand", "Identifier", "Listing", "Product", "Sku", "UnmappedItem"]
