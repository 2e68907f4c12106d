"""A run's stored pairs under another judge."""
