"""Measures of the hot paths beside what one would use instead, both in one run and on the same data."""
