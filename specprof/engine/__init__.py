"""Runs models and records what happens; no code of a hub comes in with transformers, unasked."""

from specprof.engine.foreign import keep_out_kernels

keep_out_kernels()
