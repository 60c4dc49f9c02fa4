"""Questions that look across all apps."""
