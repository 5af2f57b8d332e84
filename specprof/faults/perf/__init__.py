"""Faults of time and memory; the emitted tokens stay right."""
