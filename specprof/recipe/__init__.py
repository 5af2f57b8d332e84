"""How the pocket family is made: corpus, tokenizer, shapes, training, measurement.

Run it with ``python -m specprof.recipe``; everything is seeded and reads nothing but the
running Python's own standard library.
"""
