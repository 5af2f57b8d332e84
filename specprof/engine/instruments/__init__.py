"""Clocks, counters and threads: they read the machine, and change nothing of a run."""
