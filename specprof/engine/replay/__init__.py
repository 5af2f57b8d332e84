"""Forwards recorded once and replayed, and the proof that a replay is right."""
