"""Faults of the target's pass over the drafts."""
