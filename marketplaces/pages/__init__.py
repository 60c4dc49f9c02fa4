"""Pages for people who look after the connections."""
