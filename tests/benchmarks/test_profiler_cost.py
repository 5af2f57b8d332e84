"""One arm over the other, in mirrored fours."""

import sys
from pathlib import Path

from specprof.engine.instruments.bout import Bout

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import profiler_cost  # noqa: E402 - a script, found where the line above says


def arms(on_ns, off_ns, drift_ns=0):
    """Two arms whose every play takes `drift_ns` longer than the one before, whoever plays."""
    played = []

    def arm(name, cost_ns):
        def play():
            played.append(name)
            return Bout(cost_ns + drift_ns * len(played), 2 * cost_ns, 1, [1])

        return play

    return arm("on", on_ns), arm("off", off_ns), played


def test_arms_take_turns_in_mirrored_fours():
    """So often as was asked."""
    on, off, played = arms(102, 100)
    found = profiler_cost.compare_cost(on, off, 3)
    assert played == ["on", "off", "off", "on"] * 3
    assert found["quadruples"] == 3


def test_a_steady_drift_is_no_cost():
    """A machine that gets slower all the while falls on both alike."""
    on, off, _ = arms(1000, 1000, drift_ns=50)
    wall = profiler_cost.compare_cost(on, off, 6)["wall_on_over_off"]
    assert wall == {"median": 1.0, "interval_95": [1.0, 1.0]}


def test_both_clocks_are_told_and_an_interval_where_there_can_be_one():
    """Five fours have none."""
    on, off, _ = arms(1030, 1000)
    found = profiler_cost.compare_cost(on, off, 5)
    for clock in ("wall", "processor"):
        assert found[f"{clock}_on_over_off"] == {"median": 1.03, "interval_95": None}
