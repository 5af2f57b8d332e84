"""Faults of verification's indices, on tables."""

from broken import every, played

APART = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.0, 0.0]
"""Two laws without a token in common."""


def test_an_unchecked_first_draft_always_stands():
    """Of two laws that share no token nothing is owed: index 0 stands all the same, 1 never."""
    _, rounds = played("verify/first-draft-unchecked", *map(every, APART))
    assert {one.accepted for one in rounds} == {1}
    _, sound = played(None, *map(every, APART))
    assert {one.accepted for one in sound} == {0}
