"""Clocks, counters and threads: they read the machine and don't change a run."""
