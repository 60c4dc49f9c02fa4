"""Changes to orders."""
