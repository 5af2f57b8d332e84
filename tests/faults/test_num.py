"""Numerics: one that is a defect, and one that is none."""

from drilled import MAX_ROUNDING_GAP, assert_astray, assert_still, play_drill
from specprof.analysis.attribution import NOISE_BY_DTYPE


def test_a_path_of_several_tokens_that_is_off(family):
    """The target strays by more than rounding at most places, and not by much."""
    run = play_drill(family, "num/multi-token-attention-path")
    assert_astray(run, "target", 0.8)
    assert max(run.gaps("target")) < 0.5
    assert_still(run, "draft")


def test_another_order_of_summation_is_no_defect(family):
    """More than float32's rounding, and far less than what is excused in bfloat16."""
    run = play_drill(family, "num/verify-vs-decode-kernel-ties")
    assert MAX_ROUNDING_GAP < max(run.gaps("target")) < NOISE_BY_DTYPE["bfloat16"].gap / 5
    assert_still(run, "draft")
    assert set(run.short("target")) == {0}
