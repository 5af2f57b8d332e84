"""The collapsed-stack export."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import HOSTILE, events, in_memory
from formats import collapsed_stacks
from specprof.exporters._slices import timeline
from specprof.exporters.collapsed import Collapsed, _frame_name, stacks


def test_the_stacks_sum_to_the_run(tmp_path):
    """All lines together are the run's wall time, in whole nanoseconds."""
    Collapsed().write(in_memory(events()), tmp_path / "a.txt")
    found = collapsed_stacks((tmp_path / "a.txt").read_text())
    assert sum(found.values()) == events()[-1].wall_ns
    stack = ("run", "round", "verify")
    assert found[stack] == stacks(timeline(in_memory(events())))[stack]


@given(st.text())
def test_no_name_breaks_a_line(name):
    """Whatever a name holds, the line keeps its frames and its number apart."""
    frame = _frame_name(name)
    assert list(collapsed_stacks(f"run;{frame} 7\n").values()) == [7]


@pytest.mark.parametrize(
    ("name", "frame"),
    [("draft", "draft"), ("a;b", "a b"), ("step 12", "step_12"), ("\n", "?"), ("host gap",) * 2],
)
def test_names_stay_readable(name, frame):
    """Ordinary names pass; separators and trailing numbers are disarmed."""
    assert _frame_name(name) == frame


def test_a_hostile_name_stays_one_frame():
    """Separators, controls and a trailing number in a name make no further frame or number."""
    frame = _frame_name(HOSTILE)
    assert ";" not in frame
    assert "\n" not in frame
    assert frame.endswith("_12")
