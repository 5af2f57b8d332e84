"""A round that is undone and verified again is told from a round that loses its tokens."""

import pytest

import captures
from specprof.analysis import emitted_law
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.records import Drafted, Round

A, B, C, D, E = range(10, 15)
"""Token ids: A and B stand, C is rejected, D is the correction, E comes later."""


def played(drafts, accepted, emitted, *, context=50, judged=None):
    """Return the fields of a round; `judged`: how many drafts were reached."""
    reached = min(accepted + 1, len(drafts)) if judged is None else judged
    return {
        "context": context,
        "drafted": [
            Drafted(token, place - 1, place < reached, place < accepted)
            for place, token in enumerate(drafts)
        ],
        "accepted": accepted,
        "emitted": emitted,
        "depth_asked": len(drafts),
    }


def evidence(*rounds):
    """Return the evidence of one burst of these rounds."""
    columns = Columns()
    columns.feed(
        [
            Round(index=place, start_ns=place * 10, wall_ns=5, **each)
            for place, each in enumerate(rounds)
        ]
    )
    return Evidence(columns)


UNDONE = played([A, B, C, E], 2, [])
SOUND = {
    "the accepted drafts alone": (UNDONE, played([A, B], 2, [A, B, D])),
    "the accepted drafts and the correction": (UNDONE, played([A, B, D], 3, [A, B, D, E])),
    "new drafts behind them": (UNDONE, played([A, B, D, E], 3, [A, B, D, C])),
    "the very same drafts": (UNDONE, played([A, B, C, E], 2, [A, B, D])),
    "nothing stood, so nothing is drafted": (played([C, E], 0, []), played([], 0, [D])),
    "it is not said what stood": (played([A, B, C], 0, []), played([A, B], 2, [A, B, D])),
    "nothing is said to be judged": (
        played([A, B, C], 0, [], judged=0),
        played([A, B], 2, [A, B, D]),
    ),
}
LOST = {
    "other drafts stand": (UNDONE, played([A, D], 2, [A, D, E])),
    "fewer stand": (UNDONE, played([A, B, C], 1, [A, D])),
    "the rejected draft is committed": (UNDONE, played([A, B], 2, [A, B, C])),
    "the text has moved on": (UNDONE, played([A, B], 2, [A, B, D], context=53)),
    "another draft is rejected in its place": (played([C], 0, []), played([E], 0, [D])),
    "tokens were committed": (played([A, B, C], 2, [A]), played([B], 1, [B, D], context=51)),
}
CLOSING = played([A], 1, [A, B], context=60)


@pytest.mark.parametrize("rounds", SOUND.values(), ids=SOUND)
def test_a_replay_is_seen(rounds):
    """Its round commits nothing, and the next has it all."""
    assert evidence(*rounds, CLOSING).replays.undone.tolist() == [True, False, False]


@pytest.mark.parametrize("rounds", LOST.values(), ids=LOST)
def test_a_round_that_loses_its_tokens_is_no_replay(rounds):
    """Because the next one does not commit what had been decided."""
    assert not evidence(*rounds, CLOSING).replays.undone.any()


def test_a_round_may_be_undone_twice():
    """The second time after one more draft."""
    again = played([A, B, D, C], 3, [])
    found = evidence(UNDONE, again, played([A, B, D], 3, [A, B, D, E])).replays
    assert found.undone.tolist() == [True, True, False]
    assert found.settled.tolist() == [0, 3, 4]


def test_what_was_decided_before_counts_once():
    """The replay's own places are those behind the correction."""
    places = evidence(UNDONE, played([A, B, D, E], 4, [A, B, D, E, C])).reached
    assert [*zip(places.round, places.index, strict=True)] == [(0, 0), (0, 1), (0, 2), (1, 3)]


def test_a_correction_that_was_decided_before_is_no_choice_of_the_replays_rows():
    """Where these are wrong they deny it, and the text is right all the same."""
    again = played([A, B], 2, [A, B, D]) | {"final_target_prob": 0.0}
    made = evidence(UNDONE, again, CLOSING | {"final_target_prob": 1.0})
    made.columns.feed(captures.events(temperature=0.0)[:1])  # the header of a greedy run
    assert made.greedy
    assert emitted_law.finals(made).round.tolist() == [2]


def test_an_outcome_that_was_recorded_wrongly_counts_nowhere():
    """It says that a draft fell which the next round commits."""
    rounds = played([A, B, C], 0, []), played([A, B], 2, [A, B, D]), CLOSING
    assert evidence(*rounds).reached.round.tolist() == [2]


def test_a_tree_has_no_replays():
    """Its nodes have no order that a replay would repeat."""
    tree = played([A, B], 1, [])
    tree["drafted"] = [Drafted(A, -1, True, True), Drafted(B, -1, False, False)]
    assert not evidence(tree, played([A], 1, [A, D])).replays.undone.any()
