"""Faults of random numbers."""
