"""Speculative loops such as people write over Hugging Face models, recorded by `specprof.record`.

Each kind differs from the plain loop in one thing. The sound ones must never be accused of a bug.
"""
