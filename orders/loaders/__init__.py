"""How orders take in what marketplaces say, one module per flow."""
