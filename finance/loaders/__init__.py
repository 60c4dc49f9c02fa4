"""How pulled money records become rows: one module per flow, found by the pull engine."""
