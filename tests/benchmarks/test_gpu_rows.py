"""What the GPU's script says of a figure: whether its goal is met, missed, or left open."""

import sys
from pathlib import Path

import pytest

from specprof.analysis.comparison import Figure

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import gpu  # noqa: E402 - scripts, found where the line above says
from on_gpu import rows  # noqa: E402


@pytest.mark.parametrize(
    ("bounds", "figure", "goal", "met"),
    [
        ({"at_most": 1.01}, 1.01, "at most 1.01", True),
        ({"at_most": 1.01}, 1.02, "at most 1.01", False),
        ({"at_least": 2}, 1.9, "at least 2", False),
        ({"at_least": 0.98, "at_most": 1.02}, 0.97, "0.98 to 1.02", False),
        ({"at_least": 5, "at_most": 5}, 5, "5", True),
        ({"at_most": 1.01}, None, "at most 1.01", None),
        ({}, 3.0, None, None),
    ],
)
def test_a_row_knows_whether_its_goal_is_met(bounds, figure, goal, met):
    """Bounds hold at the bound; a figure nobody measured meets nothing and misses nothing."""
    row = rows.Row(what="x", unit="y", figure=figure, **bounds)
    assert (row.goal, row.met) == (goal, met)
    assert rows.record(row)["met"] is met


@pytest.mark.parametrize(
    ("low", "high", "verdict", "met"),
    [
        (0.99, 1.01, "met", True),
        (0.99, 1.015, "open", None),
        (0.9, 1.1, "open", None),
        (1.011, 1.03, "MISSED", False),
        (0.8, 0.97, "MISSED", False),
        (0.8, 0.98, "open", None),
    ],
)
def test_an_interval_is_judged_by_the_whole_of_it(low, high, verdict, met):
    """One that reaches over a bound tells neither, however well its middle looks."""
    middle = (low + high) / 2
    row = rows.Row(
        what="x", unit="y", figure=middle, low=low, high=high, at_least=0.98, at_most=1.01
    )
    assert (row.verdict, row.met) == (verdict, met)
    told = {"met": (1, 0, 0), "MISSED": (0, 1, 0), "open": (0, 0, 1)}[verdict]
    assert gpu.summary([row]) == "{} goals met, {} missed, {} open, 1 rows".format(*told)


def test_a_median_of_too_few_is_judged_by_nobody():
    """Two repetitions may lie on the right side of a goal by chance."""
    for found, verdict in ((Figure(0.9, n=5), "open"), (Figure(0.9, 0.8, 1.0, 6), "met")):
        row = rows.figure_row(found, what="x", unit="y", at_most=1.01)
        assert (row.verdict, rows.record(row)["n"]) == (verdict, found.n)


def test_a_gpus_goals_are_judged_on_a_gpu_alone():
    """Elsewhere the goal is named in the note, and neither met nor missed."""
    row = rows.Row(what="x", unit="y", figure=9.0, at_most=1.0)
    (told,) = rows.drop_foreign_goals([row], cuda=False, reduced=False)
    assert (told.met, told.goal) == (None, None)
    assert "at most 1, needs CUDA" in told.note
    (small,) = rows.drop_foreign_goals([row], cuda=True, reduced=True)
    assert (small.met, "reduced form" in small.note) == (None, True)
    assert rows.drop_foreign_goals([row], cuda=True, reduced=False) == [row]
    anywhere = rows.replace(row, anywhere=True)
    assert rows.drop_foreign_goals([anywhere], cuda=False, reduced=True) == [anywhere]
