"""Writes of finance: every change of a money fact, a rule or a cost goes through here."""
