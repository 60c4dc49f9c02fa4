"""Our database backend: PostgreSQL that knows for whom we act and can partition a table by month."""
