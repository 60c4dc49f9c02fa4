"""Questions about findings and tickets."""
