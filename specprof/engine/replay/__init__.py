"""Forwards that are recorded once and replayed, and the proof that a replay is right."""
