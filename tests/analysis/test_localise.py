"""A pattern laid on one event is named by that event and by no other; random patterns by none."""

import re

import numpy as np
import pytest

from patterns import evidence, played
from specprof import registry
from specprof.analysis import attribution
from specprof.analysis.localise import localise
from specprof.diagnosis.rules import _states
from specprof.extend import Rule

SEEDS = range(4)
EVENTS = {
    "idle": lambda one: one.drafted == 0,
    "rejection": lambda one: one.drafted > 0 and one.rejected,
    "all-accepted": lambda one: one.drafted > 0 and not one.rejected,
    "undone": lambda one: one.emitted == 0,
}
SAID = {
    "idle": "a round that drafted nothing",
    "rejection": "a rejection",
    "all-accepted": "an all-accepted round",
    "undone": "a round that committed nothing",
    "replay": "a round that ran the target again",
}


def when(found, side="target"):
    """Return the words for where a side's state is wrong."""
    drift = found.ask(attribution.drift)
    pattern = localise(found, drift.target if side == "target" else drift.draft)
    return _states.say_when(found, side, pattern)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("event", EVENTS)
def test_right_after_an_event(event, seed):
    """Every other round is clean."""
    rounds = played(seed, idle=event != "undone", undo=event == "undone")
    found = evidence(rounds, lambda one: bool(one.before) and EVENTS[event](one.before))
    assert when(found) == f"right after {SAID[event]}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("event", EVENTS)
def test_from_an_event_on(event, seed):
    """Once it came, the rest of the burst is astray."""
    rounds = played(seed, idle=event != "undone", undo=event == "undone")
    found = evidence(rounds, lambda one: any(map(EVENTS[event], one.history)))
    assert when(found) == f"from {SAID[event]} on"


@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_round_that_follows_an_undone_one(seed):
    """That round ran the target again over what had stood."""
    rounds = played(seed, undo=True)
    found = evidence(
        rounds, lambda one: bool(one.before and one.before.before) and not one.before.before.emitted
    )
    assert when(found) == f"right after {SAID['replay']}"


@pytest.mark.parametrize("seed", SEEDS)
def test_whole_requests_are_named_by_number(seed):
    """The first has number 1."""
    rounds = played(seed, idle=True)
    wrong = {2, 4, 7}
    said = when(evidence(rounds, lambda one: one.burst in wrong))
    assert said == "in requests 3, 5 and 8 of 12 (the first is 1), whole"
    assert when(evidence(rounds, lambda one: one.burst == 4)) == (
        "in request 5 of 12 (the first is 1), whole"
    )


def test_whole_sequences_of_a_batch():
    """They are told by whose they are, not by request."""
    found = evidence(played(batch=3), lambda one: one.sequence == 1)
    assert when(found) == "in sequence 2 of 3 (the first is 1), whole"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_requests_start(seed):
    """The first round, and no later one."""
    assert when(evidence(played(seed), lambda one: one.before is None)) == (
        "in a burst's first round only"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_every_burst_but_the_first(seed):
    """All later ones begin astray."""
    assert when(evidence(played(seed), lambda one: one.burst > 0)) == "in every burst but the first"


@pytest.mark.parametrize("seed", SEEDS)
def test_first_rounds_are_compared_with_first_rounds(seed):
    """Later bursts that begin clean are no leak, though the first burst is clean throughout."""
    rounds = played(seed, idle=True)
    found = evidence(rounds, lambda one: one.burst > 0 and any(map(EVENTS["idle"], one.history)))
    assert "first" not in when(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_draft_index(seed):
    """Any index, and the row after the last draft."""
    rounds = played(seed, idle=True)
    assert when(evidence(rounds, lambda one: one.row == 2)) == "at draft index 2 only"
    assert when(evidence(rounds, lambda one: one.row > 0)) == "at every draft index but the first"
    last = evidence(rounds, lambda one: one.row == one.drafted > 0)
    assert when(last) == "only in the row after the last draft"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_length(seed):
    """Whatever came before."""
    found = evidence(played(seed), lambda one: one.context + one.row >= 1000)
    assert re.fullmatch(r"from context 1,[01]\d\d on", when(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_windows_wrap(seed):
    """Only the rows right behind it, and the window may wrap many times."""

    def wraps(one):
        return (one.context + one.row) // 50 > (one.context - 1) // 50

    found = evidence(played(seed), wraps, cache="sink-window", window=50, sinks=0)
    assert when(found) == "right where the window wraps"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_batchs_size(seed):
    """At least, or at most, so many sequences at once."""
    rounds = played(seed, batch=4)
    assert when(evidence(rounds, lambda one: one.batch >= 3)) == (
        "while at least 3 sequences are decoded together"
    )
    assert when(evidence(rounds, lambda one: one.batch == 1)) == (
        "while at most 1 sequences are decoded together"
    )


def test_throughout_is_said_only_where_it_is_so():
    """Nearly every place of nearly every burst."""
    rounds = played(idle=True)
    assert when(evidence(rounds, lambda one: True)) == "throughout"
    random = np.random.default_rng(0)
    half = when(evidence(rounds, lambda one: random.random() < 0.5))
    assert half.startswith("in ")
    assert half.endswith("of the rechecked places, and no single event separates them")


def randomly(share, seed):
    """Return the words for random rows, or for random rounds."""
    rounds = played(seed, idle=True, undo=True, fixed=seed % 2 == 0)
    random = np.random.default_rng(seed)
    wrong = {(one.burst, one.number): bool(random.random() < share) for one in rounds}
    if seed % 4 < 2:
        return when(evidence(rounds, lambda one: random.random() < share))
    return when(evidence(rounds, lambda one: wrong[one.burst, one.number]))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_random_patterns_name_no_event(share):
    """Single rows or whole rounds: at most one of forty is misread."""
    named = [
        said
        for seed in range(40)
        if re.search(r"after|from|at |request|burst|while|where", said := randomly(share, seed))
    ]
    assert len(named) <= 1, named


def test_a_round_that_drafted_nothing_has_not_accepted_all():
    """Nor has it rejected anything."""
    found = evidence(played(idle=True), lambda one: False)
    rounds, after = found.rounds, found.after
    idle = np.flatnonzero((rounds.drafted[:-1] == 0) & (rounds.burst[1:] == rounds.burst[:-1]))
    assert len(idle)
    assert set(after[idle + 1]) == {4}
    assert (rounds.accepted[np.flatnonzero(after == 2) - 1] > 0).all()


def test_the_rules_suspect_what_the_event_says():
    """A stale token, a restored state, rows of another request."""
    judge = registry.get(Rule, "target-state-drifts")().judge
    idle = evidence(played(idle=True), lambda one: any(map(EVENTS["idle"], one.history)))
    undone = evidence(played(undo=True), lambda one: any(map(EVENTS["undone"], one.history)))
    whole = evidence(played(), lambda one: one.burst in {3, 6})
    assert judge(idle).finding.suspects == ("kv/stale-token-fed",)
    assert judge(undone).finding.suspects[0] == "kv/rollback-snapshot-shifted"
    assert judge(whole).finding.suspects[0] == "kv/request-reads-foreign-rows"
    assert judge(idle).finding.where.event == "after a round that drafted nothing"
