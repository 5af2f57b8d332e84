"""A capture as nested slices of time: run > prefill or round > phase > step.

The one tree behind the speedscope, Chrome and collapsed exports, so that their sums agree to the
nanosecond. Knows times and names; nothing of any file format.

The sequences of a batch are decoded together: each has a lane of its own, whose slices lie over the
others' in time. A phase keeps its length exactly. Where two clocks (the host's and an
accelerator's) would make neighbours overlap, the later one starts later; what no phase covers is
the host gap.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from specprof.capture import Capture
from specprof.records import Burst, End, Prefill, Round, Scored, Span

Timed = Prefill | Round | Scored
RUN = "run"
HOST_GAP = "host gap"
DEEPEST = 8
"""Levels of spans below a round; a round's own go down to four."""


class Slice(NamedTuple):
    """A named stretch of time; its children lie in it, in order, without overlap."""

    name: str
    start_ns: int
    """Since the start of the run."""
    ns: int
    children: tuple["Slice", ...] = ()
    event: Timed | None = None
    """What a prefill's or round's slice was made of; None for a phase, a step, a host gap."""
    shared: int = 1
    """Sequences whose time it is together."""

    @property
    def end_ns(self) -> int:
        """Where the next slice may start."""
        return self.start_ns + self.ns


class Timeline(NamedTuple):
    """A run's time, whole."""

    lanes: dict[int, list[Slice]]
    """Sequence -> a slice for each of its prefills, rounds and passes over known text.

    By start, none overlapping the one before. There is a lane 0 even where nothing was recorded.
    """
    ns: int
    """How long the run took: to its closing line, or as far as anything was recorded."""


def timeline(capture: Capture) -> Timeline:
    """Return a capture's times; it holds every event that has some."""
    timed, sequence_of, ns = list[Timed](), dict[int, int](), 0
    for event in capture.events:
        if isinstance(event, Timed):
            timed.append(event)
        if isinstance(event, Round):
            sequence_of[event.burst] = event.sequence
        elif isinstance(event, End):
            ns = max(ns, event.wall_ns)
        elif isinstance(event, Burst):
            ns = max(ns, event.start_ns + event.wall_ns)
    found: dict[int, list[Timed]] = {0: []}
    for one in timed:
        burst = -1 if isinstance(one, Scored) else one.burst
        found.setdefault(sequence_of.get(burst, 0), []).append(one)
    lanes = {sequence: list(_lane(found[sequence])) for sequence in sorted(found)}
    return Timeline(lanes, max([ns, *(lane[-1].end_ns for lane in lanes.values() if lane)]))


def _lane(timed: list[Timed]) -> Iterator[Slice]:
    end = 0
    for event in sorted(timed, key=lambda event: event.start_ns):
        one = _laid_out(event, max(end, event.start_ns))
        end = one.end_ns
        yield one


def self_ns(one: Slice) -> int:
    """Return the time of a slice that none of its children covers."""
    return one.ns - sum(child.ns for child in one.children)


def _laid_out(event: Timed, start: int) -> Slice:
    end = start + max(event.wall_ns, 0)
    if isinstance(event, Scored):
        return Slice("score", start, end - start, (), event)
    name, shared = ("round", event.shared) if isinstance(event, Round) else ("prefill", 1)
    phases = list(_with_gaps(_phases(event.spans, start), start, end))
    ns = sum(phase.ns for phase in phases)
    return Slice(name, start, ns, tuple(phases), event, max(shared, 1))


def _phases(spans: list[Span], start: int) -> Iterator[Slice]:
    """Yield the spans directly below their round, each with the steps inside it."""
    end = start
    for span in sorted((s for s in spans if s.parent is None), key=lambda span: span.start_ns):
        at = max(end, start + span.start_ns)
        end = at + max(span.ns, 0)
        inner = [one for one in spans if one.parent is not None and _within(one, span)]
        steps = tuple(_steps(span, inner, (at - span.start_ns, end), 1))
        yield Slice(span.name, at, end - at, steps)


def _within(step: Span, phase: Span) -> bool:
    return phase.start_ns <= step.start_ns <= phase.start_ns + phase.ns


def _steps(
    phase: Span, spans: Sequence[Span], place: tuple[int, int], depth: int
) -> Iterator[Slice]:
    """Yield a span's own steps of all `spans` that began in it, with theirs.

    `place` is where the round began and where the span ends: what was measured is the span, so a
    step is cut there. What lies deeper than anybody measures is left out.
    """
    at, (origin, limit) = 0, place
    steps = [span for span in spans if span.parent == phase.name]
    rest = [span for span in spans if span.parent != phase.name] if depth < DEEPEST else []
    for span in sorted(steps, key=lambda span: span.start_ns):
        at = min(max(at, origin + span.start_ns), limit)
        end = min(at + max(span.ns, 0), limit)
        inner = [one for one in rest if 0 <= one.start_ns - span.start_ns < max(span.ns, 1)]
        yield Slice(span.name, at, end - at, tuple(_steps(span, inner, (origin, end), depth + 1)))
        at = end


def _with_gaps(phases: Iterable[Slice], start: int, end: int) -> Iterator[Slice]:
    """Yield the phases and a host gap wherever time passed between them.

    Phases that were pushed later by an overlap take their time from the gap at the end.
    """
    at = start
    for phase in phases:
        if phase.start_ns > at:
            yield Slice(HOST_GAP, at, phase.start_ns - at)
        yield phase
        at = phase.end_ns
    if end > at:
        yield Slice(HOST_GAP, at, end - at)
