"""How dates are written: the day first, and the day has twenty-four hours."""
