"""Faults of attention masks."""
