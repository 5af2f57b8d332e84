"""Faults of key-value caches: tokens kept, dropped or miscounted."""
