"""Every sum of times comes out even."""

import pytest

import captures
from specprof.analysis import timing
from specprof.analysis.columns import Columns
from specprof.records import Burst


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


def test_phases_and_the_gap_sum_to_the_wall_exactly():
    """To the nanosecond; shares sum to 1."""
    columns = fed(captures.events())
    phases = timing.phases(columns)
    assert [each.name for each in phases] == ["draft", "verify", "accept", "rollback", timing.GAP]
    assert sum(each.total_ns for each in phases) == columns.rounds.wall_ns.sum()
    assert sum(each.wall_frac for each in phases) == pytest.approx(1)
    draft = phases[0]
    assert draft.ns_per_round * len(columns.rounds) == pytest.approx(draft.total_ns)
    assert draft.ns_per_emitted * columns.rounds.emitted.sum() == pytest.approx(draft.total_ns)


def test_prefill_rounds_and_tail_sum_to_the_burst_exactly():
    """To the nanosecond, for every burst."""
    events = captures.events()
    requests = timing.requests(fed(events))
    bursts = [event for event in events if isinstance(event, Burst)]
    assert [each.wall_ns for each in requests] == [each.wall_ns for each in bursts]
    for each in requests:
        assert each.prefill_ns + each.rounds_ns + each.tail_ns == each.wall_ns
        assert min(each.prefill_ns, each.rounds_ns) > 0
        assert each.tail_ns >= 0


def test_no_rounds_have_no_phases():
    """Nothing was timed."""
    assert timing.phases(Columns()) == []
    assert timing.requests(Columns()) == []


def test_hostile_burst_numbers_take_no_memory():
    """A burst's number is a name, not an array's length."""
    columns = fed(captures.events())
    columns.feed([Burst(burst=10**15, start_ns=0, wall_ns=7, rounds=0, emitted=0, finish="eos")])
    assert timing.requests(columns)[-1].tail_ns == 7
