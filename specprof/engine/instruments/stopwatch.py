"""Time the parts of a round. The clock is passed in: host counter, device events, or a fake one.

Spans are marks on one clock, so a round's spans can be compared with its wall time. The time that
no span covers is the host gap; readers compute it. Device events are read late: if the device has
not passed an event yet, reading it makes the host wait for the work that is measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

import torch

from specprof.records import ClockFacts, Span

Mark = Any
"""What a clock's `mark` returns; only that clock can read it."""
TIMED_READINGS = 2000


class Clock(Protocol):
    """Makes marks, and says how far apart two of them are."""

    kind: str
    late: bool
    """Whether a mark can be read only once the device has passed it."""

    def mark(self) -> Mark:
        """Return this moment."""

    def between(self, start: Mark, end: Mark) -> int:
        """Return the nanoseconds from one mark to another."""


class HostClock:
    """The host's own monotonic counter."""

    kind = "perf_counter_ns"
    late = False

    def __init__(self, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.mark = now

    def between(self, start: int, end: int) -> int:
        """Return the nanoseconds from one reading to another."""
        return end - start


class EventMark:
    """A recorded event; when the mark is deleted, another mark can use the event."""

    __slots__ = ("event", "free")

    def __init__(self, event: torch.Event, free: list[torch.Event]) -> None:
        self.event = event
        self.free = free

    def __del__(self) -> None:
        self.free.append(self.event)


class EventClock:
    """Timed events on an accelerator's current stream (CUDA, XPU, MPS).

    Making an event costs more than recording it, so events are used again. A run needs no more of
    them than there are marks not yet read.
    """

    late = True

    def __init__(self, device: torch.device) -> None:
        self.kind = device.type
        self.device = device
        self._free: list[torch.Event] = []

    def mark(self) -> EventMark:
        """Record an event on the current stream; costs about a microsecond, never waits."""
        free = self._free
        event = free.pop() if free else torch.Event(self.device, enable_timing=True)
        event.record()
        return EventMark(event, free)

    def between(self, start: EventMark, end: EventMark) -> int:
        """Return the nanoseconds between two events, waiting for the second if need be."""
        end.event.synchronize()
        return round(start.event.elapsed_time(end.event) * 1e6)


def clock_for(device: torch.device) -> HostClock | EventClock:
    """Return the clock that times work on `device` without serialising it."""
    return HostClock() if device.type == "cpu" else EventClock(device)


def clock_facts(clock: Clock) -> ClockFacts:
    """Measure what one reading costs the host."""
    started = time.perf_counter_ns()
    for _ in range(TIMED_READINGS):
        clock.mark()
    return ClockFacts(kind=clock.kind, read_ns=(time.perf_counter_ns() - started) / TIMED_READINGS)


@dataclass(slots=True)
class Lap:
    """The marks of one round or prefill, not yet read."""

    clock: Clock
    at_ns: int
    """Host time of the start, which places the lap on the run's timeline."""
    start: Mark
    end: Mark = None
    marks: list[tuple[str, str | None, Mark, Mark]] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Read the marks: spans in the order they began, relative to the lap's start.

        Every mark is read against the lap's start, so that rounding can't make spans overlap or
        outlast their lap. A device's clock may run backwards by a tick: no time is negative.
        """
        read: list[Span] = []
        for name, parent, begun, ended in self.marks:
            start_ns = max(self.clock.between(self.start, begun), 0)
            ns = max(self.clock.between(self.start, ended) - start_ns, 0)
            read.append(Span(name, parent, start_ns, ns))
        return sorted(read, key=lambda span: (span.start_ns, span.parent is not None))

    def wall_ns(self) -> int:
        """Return the lap's length in nanoseconds, read from its marks."""
        return max(self.clock.between(self.start, self.end), 0)


class Stopwatch:
    """Collects marks, one lap at a time: `begin`, nested `span`s, `finish`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._open: list[str] = []
        self._lap = Lap(clock, 0, None)

    def begin(self) -> None:
        """Start a lap."""
        self._open.clear()
        self._lap = Lap(self.clock, time.perf_counter_ns(), self.clock.mark())

    @property
    def outermost(self) -> str | None:
        """The open span that is inside no other; None if no span is open."""
        return self._open[0] if self._open else None

    def span(self, name: str) -> "OpenSpan":
        """Time a `with` block under this name, inside the span that is open."""
        return OpenSpan(self, name)

    def finish(self) -> Lap:
        """End the lap and return it; a device's marks need not have passed yet."""
        self._lap.end = self.clock.mark()
        return self._lap


class OpenSpan:
    """A `with` block being timed; a class, because a generator costs the hot path twice as much."""

    __slots__ = ("name", "start", "watch")

    def __init__(self, watch: Stopwatch, name: str) -> None:
        self.watch = watch
        self.name = name
        self.start: Mark = None

    def __enter__(self) -> None:
        self.watch._open.append(self.name)  # noqa: SLF001 - one thing in two classes
        self.start = self.watch.clock.mark()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        watch = self.watch
        ended = watch.clock.mark()
        watch._open.pop()  # noqa: SLF001
        parent = watch._open[-1] if watch._open else None  # noqa: SLF001
        watch._lap.marks.append((self.name, parent, self.start, ended))  # noqa: SLF001
