"""Every run's records, kept for the trend: in SQLite by default, in a shared database by its URL."""
