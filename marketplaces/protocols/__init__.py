"""Protocols that several marketplaces share; they know no operator."""
