"""Faults of drafting: what is drafted, what is declared, and what of it arrives."""

import pytest
import torch

from broken import play_tables, repeat_row
from drilled import assert_still, play_drill

TARGET = [0.1, 0.2, 0.3, 0.4]
DRAFT = [0.4, 0.3, 0.2, 0.1]


@pytest.mark.parametrize("name", ["accept/greedy-draft-soft-q", "draft/temperature-ignored"])
def test_first_choices_declared_as_draws(name):
    """Every draft is the likeliest token, under a law that says otherwise."""
    rounds = play_tables(name, repeat_row(TARGET), repeat_row(DRAFT))[1]
    assert {token for one in rounds for token in one.drafted} == {0}
    declared = rounds[0].proposal.draft_probs
    torch.testing.assert_close(declared, torch.tensor([DRAFT, DRAFT]))


def test_proposals_that_never_arrive_cost_what_they_cost():
    """A round drafts nothing and emits one token, but still runs the draft's forwards."""
    _, rounds = play_tables(
        "draft/proposals-never-reach-verifier", repeat_row(TARGET), repeat_row(DRAFT)
    )
    assert {len(one.drafted) for one in rounds} == {0}
    assert {len(one.emitted) for one in rounds} == {1}
    assert {one.draft_forwards for one in rounds} == {2}


def test_a_sampler_without_mass_drafts_the_lowest_id():
    """At temperature 0 the draft prefers 1, the target 3: 0 is drafted and always rejected."""
    favourite = repeat_row([0.1, 0.6, 0.2, 0.1])
    name = "draft/temp-zero-sampler-degenerate"
    _, rounds = play_tables(name, repeat_row(TARGET), favourite, temperature=0.0)
    assert {token for one in rounds for token in one.drafted} == {0}
    assert {one.accepted for one in rounds} == {0}


def test_weights_that_were_not_loaded_know_nothing(family):
    """The draft's law is flat, its state sound: a recheck runs with the same weights."""
    run, sound = play_drill(family, "draft/weights-not-loaded"), play_drill(family, None)
    assert run.accepted_frac < sound.accepted_frac
    for role in ("target", "draft"):
        assert_still(run, role)
    seen = [each.seen.draft_prob for one in run.rounds for each in one.drafted if each.reached]
    assert max(seen) < 0.2
