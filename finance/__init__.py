"""Finance: what was earned, from the rules and the order to the marketplace's own statement."""
