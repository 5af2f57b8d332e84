"""How far recorded probabilities can be trusted: they have five significant digits."""

ROUNDING = 1e-4
"""Ratios of two are good to this."""
SLACK = 1e-3
"""Ten times the rounding of two recorded probabilities' ratio."""
EDGE = 1e-5
"""Total variation from the clean row below which no token changes sides of a filter's edge."""
