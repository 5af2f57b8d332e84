"""specprof: a profiler and diagnostic tool for speculative decoding."""

__version__ = "0.1.0"
