"""Faults of key-value caches: what stays, what goes, what is counted."""
