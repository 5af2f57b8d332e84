"""Faults of time and memory; what is emitted stays right."""
