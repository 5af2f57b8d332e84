"""Faults of what verification sees; trees laid out as chains are with the positions."""

import numpy as np

from drilled import assert_astray, assert_still, play_drill


def test_a_mask_aligned_at_the_wrong_corner(family):
    """The target strays at every place from the first round on; its plain steps would not."""
    run = play_drill(family, "mask/sdpa-causal-top-left")
    assert_astray(run, "target", 0.9)
    assert_still(run, "draft")
    assert set(run.short("target")) == {0}


def test_embeddings_of_the_round_before(family):
    """The first token of the first round is right, those behind it are wrong in every round."""
    run = play_drill(family, "mask/verify-reads-stale-embeddings")
    first = run.rounds[0].index
    assert_still(run, "target", lambda one, place: one.index == first and place.index == 0)
    assert_astray(run, "target", 0.8, lambda _, place: place.index > 0)
    assert_still(run, "draft")
    assert np.mean(run.short("target")) == 0
