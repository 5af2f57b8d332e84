"""Measure models on a text that is given: perplexity and overlap."""
