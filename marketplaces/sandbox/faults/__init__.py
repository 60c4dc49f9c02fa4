"""What goes wrong on the wire, by a seeded plan: each kind of fault is one function, each plan a choice of kinds."""
