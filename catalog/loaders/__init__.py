"""How the catalog takes in what marketplaces say, one module per flow."""
