"""Faults of where a text ends."""
