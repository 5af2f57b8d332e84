"""Faults of vocabularies."""
