"""Signing in: how long it lasts, the second factor, and being asked again before what is delicate."""
