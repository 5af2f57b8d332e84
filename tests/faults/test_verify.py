"""Faults of verification's indices, on tables."""

from broken import play_tables, repeat_row

APART = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.0, 0.0]
"""Two laws without a token in common."""


def test_an_unchecked_first_draft_always_stands():
    """Two laws that share no token owe nothing: index 0 is still accepted, index 1 never."""
    _, rounds = play_tables("verify/first-draft-unchecked", *map(repeat_row, APART))
    assert {one.accepted for one in rounds} == {1}
    _, sound = play_tables(None, *map(repeat_row, APART))
    assert {one.accepted for one in sound} == {0}


def test_rows_taken_for_choices_are_right_at_the_first_place_only():
    """The target's order is 3, 2, 1, 0 after every token: a sure draft of 3s stands once."""
    likes, sure = repeat_row([0.1, 0.2, 0.3, 0.4]), repeat_row([0.0, 0.0, 0.0, 1.0])
    _, rounds = play_tables(
        "verify/rows-swapped-topk-args", likes, sure, temperature=0.0, new_tokens=20
    )
    assert {tuple(one.emitted) for one in rounds} == {(3, 2)}
    _, sound = play_tables(None, likes, sure, temperature=0.0, new_tokens=18)
    assert {tuple(one.emitted) for one in sound} == {(3, 3, 3)}
