"""Carriers of a marketplace that takes return labels, for the tests."""
