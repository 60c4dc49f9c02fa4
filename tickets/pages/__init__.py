"""Pages for people who work tickets."""
