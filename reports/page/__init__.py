"""The page of a run: one HTML file that needs nothing beside it, no network and no JavaScript."""
