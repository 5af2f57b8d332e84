"""Faults of cost: where the time goes, how often, and that nothing else changes."""

import time

import pytest

from broken import play_tables, repeat_row, wire_tables
from drilled import load_fault, play_drill
from specprof.faults import _waits
from specprof.faults._settings import drill_settings
from specprof.limits import check

TARGET = [0.1, 0.2, 0.3, 0.4]
DRAFT = [0.4, 0.3, 0.2, 0.1]
SLEEPERS = {
    "perf/draft-eager": ({("draft", "step")}, 24.0),
    "perf/verify-kernel-cliff": ({("verify",)}, 40.0),
    "perf/moe-expert-union": ({("verify",)}, 24.0),
    "perf/host-sync-and-bookkeeping": ({()}, 30.0),
}
"""Fault -> the spans its waits lie in, and their length in ms at two drafted tokens."""
ALL_SETTINGS = ["perf/draft-cost-ratio", "perf/over-drafting-or-gating"]


@pytest.mark.parametrize(("name", "expected"), SLEEPERS.items(), ids=list(SLEEPERS))
def test_the_wait_lies_where_the_real_cost_did(name, expected, monkeypatch):
    """In its span and of its length; the text is the sound run's, token for token."""
    waits = set()
    with wire_tables(name, repeat_row(TARGET), repeat_row(DRAFT)) as run:
        committed, spans = prefilled(run), run.loop.parts.watch._open
        monkeypatch.setattr(_waits.time, "sleep", lambda s: s and waits.add((tuple(spans), s)))
        list(run.loop.rounds(committed, new_tokens=40, stop=frozenset()))
    places, ms = expected
    assert {where for where, _ in waits} == places
    assert max(seconds for _, seconds in waits) == pytest.approx(ms / 1000)
    assert committed == play_tables(None, repeat_row(TARGET), repeat_row(DRAFT), new_tokens=40)[0]


def test_a_graph_is_captured_with_every_new_width(monkeypatch):
    """Two widths in turn cost a wait each; the same one again costs none."""
    waits = []
    with wire_tables("perf/graph-reset-by-shape", repeat_row(TARGET), repeat_row(DRAFT)) as run:
        committed = prefilled(run)
        monkeypatch.setattr(_waits.time, "sleep", lambda s: waits.append(s > 0))
        for depth in (2, 2, 3, 2):
            run.loop.parts.policy.ask = lambda depth=depth: depth
            run.loop._round(committed, 99, frozenset())
    assert waits == [True, False, True, True]


def test_the_last_token_is_decoded_twice():
    """Two target forwards a round and none more in the baseline's; the text is the sound run's."""
    name = "perf/two-target-forwards"
    committed, rounds = play_tables(name, repeat_row(TARGET), repeat_row(DRAFT), new_tokens=40)
    assert {one.target_forwards for one in rounds} == {2}
    assert committed == play_tables(None, repeat_row(TARGET), repeat_row(DRAFT), new_tokens=40)[0]
    _, plain = play_tables(name, repeat_row(TARGET), repeat_row(DRAFT), new_tokens=9, depth=0)
    assert {one.target_forwards for one in plain} == {1}


def test_a_cache_that_copies_itself_takes_twice_the_memory(family):
    """Of both models, in every round; laws and text are the sound run's."""
    run, sound = play_drill(family, "perf/kv-memory-growth"), play_drill(family, None)
    assert [one.emitted for one in run.rounds] == [one.emitted for one in sound.rounds]
    for field in ("target_kv_bytes", "draft_kv_bytes"):
        twice = [2 * getattr(one, field) for one in sound.rounds]
        assert [getattr(one, field) for one in run.rounds] == twice


def test_a_saturated_batch_waits_for_every_token_of_every_sequence(family, monkeypatch):
    """Two sequences of three tokens, or one of them, at 6 ms each; a plain step of both, 12 ms."""
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    play_drill(family, "perf/batch-saturation", batch=2, depth=2, plain_steps=4)
    assert {round(1000 * each) for each in waits} == {36, 18, 12}


@pytest.mark.parametrize("name", ALL_SETTINGS)
def test_a_case_that_is_all_settings_can_be_run(name):
    """Its settings pass every limit."""
    check(drill_settings(load_fault(name)))


def prefilled(run):
    """Return the two tokens a run starts from, once both models have what they need of them."""
    committed = [0, 0]
    run.loop.target.prefill(committed[:-1])
    run.loop.drafter.prefill(committed)
    return committed


def test_a_policy_that_one_round_made_give_up(family):
    """K is what was asked for up to the first round without an accepted draft, then 1 for good."""
    run = play_drill(
        family, "perf/adaptive-k-small-sample", depth_policy="hf-heuristic", context=200
    )
    blow = next(n for n, one in enumerate(run.rounds) if not one.accepted)
    assert {one.depth_asked for one in run.rounds[blow + 1 :]} == {1}
    assert {one.accepted for one in run.rounds[blow + 1 :]} == {0, 1}
    assert run.rounds[0].depth_asked == 3
