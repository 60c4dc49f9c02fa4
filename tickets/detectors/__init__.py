"""One file per ticket type."""
