"""How far apart two numbers may be that would be equal without rounding."""

MAX_ROUNDING_ERROR = 1e-4
"""Relative error of a ratio of two recorded probabilities, which have five significant digits."""
MAX_RATIO_ERROR = 1e-3
"""Ten times the rounding error of a ratio of two recorded probabilities."""
MAX_CLEAN_GAP = 1e-5
"""Total variation from the clean row below which no token crosses the edge of a top-k or top-p
filter."""
