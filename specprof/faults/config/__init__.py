"""Faults of settings and prompts."""
