"""Examples of what a user may add."""
