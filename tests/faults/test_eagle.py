"""Faults of hidden-state drafters: the head drafts otherwise, its target is left alone."""

import pytest

from drilled import assert_still, play_drill

NAMES = [
    "eagle/input-shift-missing",
    "eagle/residual-dropped-before-head",
    "eagle/concat-order-or-norm-stage",
    "eagle/aux-layer-off-by-one",
    "draft/rotated-target-basis",
    "draft/d2t-map-missing",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_head_drafts_from_something_else(family, name):
    """Its laws in the very first round are other ones; no length and no target law is."""
    run, sound = (play_drill(family, each, drafter="eagle") for each in (name, None))
    first, right = run.rounds[0], sound.rounds[0]
    assert first.context == right.context
    assert [one.seen for one in first.drafted[:1]] != [one.seen for one in right.drafted[:1]]
    assert set(run.short("target")) == {0}
    assert {one.draft_length - one.context for one in run.rounds} == {0}
    assert_still(run, "target")


def test_an_empty_table_keeps_to_the_first_ids(family):
    """No id past the head's own count is drafted; with the table some are."""
    run, sound = (
        play_drill(family, each, drafter="eagle") for each in ("draft/d2t-map-missing", None)
    )
    most = [
        max(token.token for one in each.rounds for token in one.drafted) for each in (run, sound)
    ]
    assert most[0] < 60 < most[1]
