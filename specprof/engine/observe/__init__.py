"""Rounds as they were played become the evidence that a capture holds."""
