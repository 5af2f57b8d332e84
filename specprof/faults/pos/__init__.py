"""Faults of positions and rotations."""
