"""domventas: one back office for nine marketplaces."""
