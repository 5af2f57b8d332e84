"""Faults of the accept step."""
