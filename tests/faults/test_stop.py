"""Faults of stopping, on tables: what follows a stop token, and how long a burst gets."""

from broken import play_tables, repeat_row, wire_tables
from engines import decode
from specprof.faults.stop.eos_inside_accepted_block import token_once_in

EVEN = repeat_row([0.25] * 4)
SURE = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
"""0, 1, 2, 3 and again."""


def test_a_stop_token_inside_a_block_is_passed_over():
    """Of blocks 1 2 3, 0 1 2, ... the stop token 2 first ends the second one."""
    text = [2] * 10 + [1] * 390  # 2 is once in 40
    name = "stop/eos-inside-accepted-block"
    with wire_tables(name, SURE, SURE, text=text) as run:
        assert run.stop == {2}
        committed, rounds = decode(run.loop, new_tokens=50, stop=run.stop, prompt=(3, 0))
    assert committed[2:] == [1, 2, 3, 0, 1, 2]
    assert [one.emitted[-1] for one in rounds] == [3, 2]


def test_the_stop_token_is_as_rare_as_asked():
    """The nearest to it; the lowest id of equals."""
    assert token_once_in([5] * 8 + [6] * 4 + [7] * 4 + [8] * 64, 20) == 6


def test_a_burst_goes_past_its_length_and_still_stops_at_a_stop_token():
    """Three tokens a round, ten asked for: twelve come. A stop token cuts as always."""
    committed, _ = play_tables("stop/length-overshoot", EVEN, EVEN, new_tokens=10)
    sound, _ = play_tables(None, EVEN, EVEN, new_tokens=10)
    assert (len(sound), len(committed)) == (12, 14)
    with wire_tables("stop/length-overshoot", SURE, SURE) as run:
        committed, _ = decode(run.loop, new_tokens=50, stop=frozenset({2}), prompt=(3, 0))
    assert committed[2:] == [1, 2]
