"""Faults of random numbers, on tables."""

from broken import list_corrections, play_tables, repeat_row


def test_a_coin_used_twice_leans_to_the_residuals_upper_end():
    """The residual is token 1 at 1/4 and token 3 at 3/4; every coin that fell is above 1/2.

    So token 1, the lower end, is never the correction.
    """
    target, draft = repeat_row([0.5, 0.125, 0, 0.375]), repeat_row([1.0, 0, 0, 0])
    sound, broken = (
        [token for _, token in list_corrections(play_tables(name, target, draft, depth=1)[1])]
        for name in (None, "rng/accept-uniform-reused")
    )
    assert set(sound) == {1, 3}
    assert set(broken) == {3}


def test_numbers_drawn_in_vain_change_the_text_and_no_law():
    """Another text from the same seed; two equal laws still accept everything."""
    even = repeat_row([0.25] * 4)
    sound, _ = play_tables(None, even, even)
    broken, rounds = play_tables("rng/stream-depends-on-round-structure", even, even)
    assert broken != sound
    assert {one.accepted for one in rounds} == {2}
