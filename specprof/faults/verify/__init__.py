"""Faults of the target's forward over the drafts."""
