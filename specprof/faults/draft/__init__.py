"""Faults of the draft model and what it proposes."""
