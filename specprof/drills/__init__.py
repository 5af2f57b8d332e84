"""Faults put into the engine on purpose, and whether the diagnosis names them."""
