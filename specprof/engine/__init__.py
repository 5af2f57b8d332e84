"""Runs models and records what happens; keeps out code that transformers would fetch from a hub."""

from specprof.engine.foreign import keep_out_kernels

keep_out_kernels()
