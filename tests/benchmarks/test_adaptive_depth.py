"""What is drawn anew for the interval of one policy over another."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import adaptive_depth  # noqa: E402 - a script, found where the line above says

TEXTS, PASSES = 2, 8


def arm(name, seconds):
    """Ten tokens a play; seconds by text, the same in every pass, after one of practice."""
    plays = (1 + PASSES) * len(seconds)
    both = [99.0] * len(seconds) + list(seconds) * PASSES
    return SimpleNamespace(
        name=name,
        tokens=[10] * plays,
        processor_s=both,
        wall_s=both,
        rounds=[5] * plays,
        drafted=[20] * plays,
    )


def test_passes_over_one_text_are_not_so_many_texts():
    """Twice as fast on one text and half as fast on the other: two texts tell next to nothing."""
    fixed = [
        arm("K=0", (1.0, 1.0)),
        *(arm("slow", (9.0, 9.0)) for _ in adaptive_depth.FIXED_DEPTHS[1:]),
    ]
    told = adaptive_depth.summarise([*fixed, arm("policy", (0.5, 2.0))], TEXTS)
    assert told["best_fixed"] == "K=0"
    row = told["policy"]
    assert row["processor_over_best_fixed"]["value"] == pytest.approx(2 / 2.5)
    assert row["processor_over_best_fixed"]["interval_95"] == [0.5, 2.0]
    assert (row["emitted_per_round"], row["drafted_per_round"]) == (2.0, 4.0)


def test_of_one_text_passes_are_drawn():
    """Equal ones leave nothing open."""
    fixed = [arm("K=0", (1.0,)), *(arm("slow", (9.0,)) for _ in adaptive_depth.FIXED_DEPTHS[1:])]
    told = adaptive_depth.summarise([*fixed, arm("policy", (0.5,))], 1)
    assert told["policy"]["wall_over_best_fixed"] == {"value": 2.0, "interval_95": [2.0, 2.0]}
