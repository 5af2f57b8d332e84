"""The stopwatch on a fake clock: every nanosecond is accounted for."""

import time

import torch

from specprof.engine.instruments.stopwatch import (
    EventClock,
    HostClock,
    Stopwatch,
    clock_facts,
    clock_for,
)
from specprof.records import Span


def fake_clock(*readings):
    return HostClock(iter(readings).__next__)


def test_spans_are_relative_to_their_lap_and_know_their_parent():
    """A nested span lies in its parent; the lap's wall is from begin to finish."""
    watch = Stopwatch(fake_clock(100, 110, 112, 120, 150, 160, 200, 230))
    watch.begin()
    with watch.span("draft"):
        with watch.span("step"):
            pass
    with watch.span("verify"):
        pass
    lap = watch.finish()
    assert lap.spans() == [
        Span("draft", None, 10, 40),
        Span("step", "draft", 12, 8),
        Span("verify", None, 60, 40),
    ]
    assert lap.wall_ns() == 130


def test_rounding_never_makes_spans_outlast_their_lap():
    """A device's clock rounds each difference; the host gap must not fall below zero."""

    class Coarse(HostClock):
        def between(self, start, end):
            return -((start - end) // 10) * 10  # rounded up to tens, as float32 ms round

    watch = Stopwatch(Coarse(iter((0, 1, 12, 12, 23, 23, 34, 35)).__next__))
    watch.begin()
    for name in ("draft", "verify", "accept"):
        with watch.span(name):
            pass
    lap = watch.finish()
    assert sum(span.ns for span in lap.spans()) <= lap.wall_ns()


def test_a_span_that_raises_is_closed():
    """An error inside a span leaves the next lap's spans top-level."""
    watch = Stopwatch(fake_clock(*range(20)))
    watch.begin()
    try:
        with watch.span("draft"):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    watch.begin()
    with watch.span("verify"):
        pass
    assert [span.parent for span in watch.finish().spans()] == [None]


def test_a_cpu_is_timed_by_the_hosts_counter():
    """The clock names itself and knows what reading it costs."""
    facts = clock_facts(clock_for(torch.device("cpu")))
    assert facts.kind == "perf_counter_ns"
    assert 0 < facts.read_ns < 100_000


def test_the_host_clock_agrees_with_a_sleep():
    """Ten milliseconds asleep are at least ten milliseconds on the lap."""
    watch = Stopwatch(HostClock())
    watch.begin()
    time.sleep(0.01)
    assert watch.finish().wall_ns() >= 10_000_000


class Event:
    """Stands in for a device's event: its clock is a count of all records."""

    made = recorded = 0

    def __init__(self, device, *, enable_timing):
        assert enable_timing
        Event.made += 1

    def record(self):
        Event.recorded += 1
        self.at = Event.recorded

    def synchronize(self):
        """Nothing to wait for."""

    def elapsed_time(self, end):
        return end.at - self.at


def test_a_devices_events_are_used_again_once_nobody_holds_them(monkeypatch):
    """As many are made as are waiting at once; one that is still to be read is never taken."""
    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(Event, "made", 0)
    watch = Stopwatch(EventClock(torch.device("cuda")))
    waiting = []
    for _ in range(50):
        watch.begin()
        with watch.span("draft"), watch.span("step"):
            pass
        waiting.append(watch.finish())
        if len(waiting) > 2:
            lap = waiting.pop(0)
            assert lap.wall_ns() == 5_000_000
            assert [span.ns for span in lap.spans()] == [3_000_000, 1_000_000]
    assert Event.made <= 4 * 6
