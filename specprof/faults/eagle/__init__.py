"""Faults of EAGLE heads and what they are fed."""
