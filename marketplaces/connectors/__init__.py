"""One folder per marketplace; nothing outside it knows the marketplace by name."""
