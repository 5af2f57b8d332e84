"""Resolve a model's name, and check that its files can be loaded, without loading them."""
