"""Puts faults into the engine on purpose, and checks whether the diagnosis names them."""
