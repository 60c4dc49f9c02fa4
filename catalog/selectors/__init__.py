"""Questions to the catalog."""
