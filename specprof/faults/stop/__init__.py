"""Faults in where a text ends."""
