"""What we sell: the product master, and our offers at the marketplaces."""
