"""A capture as nested slices of time: run > prefill or round > phase > step.

The speedscope, Chrome and collapsed exports all use this tree, so their sums agree to the
nanosecond. It knows times and names; nothing of file formats.

The sequences of a batch are decoded together. Each sequence has its own lane, and the slices of
different lanes overlap in time. A phase keeps its exact length. Two clocks (the host's and an
accelerator's) can make neighbouring phases overlap: then the later phase starts later. Time outside
all phases is the host gap.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from specprof.capture import Capture
from specprof.records import Burst, End, Prefill, Round, Scored, Span

Timed = Prefill | Round | Scored
RUN = "run"
HOST_GAP = "host gap"
MAX_STEP_DEPTH = 8
"""Levels of spans below a round; the spans that specprof records have at most four."""


class Slice(NamedTuple):
    """A named stretch of time; its children are inside it, in order, without overlap."""

    name: str
    start_ns: int
    """Nanoseconds since the start of the run."""
    ns: int
    children: tuple["Slice", ...] = ()
    event: Timed | None = None
    """The record of a prefill, round or pass; None for a phase, a step or a host gap."""
    shared: int = 1
    """Number of sequences that share this time."""

    @property
    def end_ns(self) -> int:
        """End of the slice, in nanoseconds since the start of the run."""
        return self.start_ns + self.ns


class Timeline(NamedTuple):
    """The time of a whole run."""

    lanes: dict[int, list[Slice]]
    """Sequence -> a slice for each of its prefills, rounds and passes over known text.

    The slices are sorted by start and don't overlap. Lane 0 exists even if nothing was recorded.
    """
    ns: int
    """Length of the run: up to its closing line, or up to the last recorded event."""


def timeline(capture: Capture) -> Timeline:
    """Return the times of a capture, with a slice for every event that has a time."""
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
        one = _slice_event(event, max(end, event.start_ns))
        end = one.end_ns
        yield one


def self_ns(one: Slice) -> int:
    """Return the nanoseconds of a slice outside its children."""
    return one.ns - sum(child.ns for child in one.children)


def _slice_event(event: Timed, start: int) -> Slice:
    end = start + max(event.wall_ns, 0)
    if isinstance(event, Scored):
        return Slice("score", start, end - start, (), event)
    name, shared = ("round", event.shared) if isinstance(event, Round) else ("prefill", 1)
    phases = list(_with_gaps(_phases(event.spans, start), start, end))
    ns = sum(phase.ns for phase in phases)
    return Slice(name, start, ns, tuple(phases), event, max(shared, 1))


def _phases(spans: list[Span], start: int) -> Iterator[Slice]:
    """Yield the top-level spans of an event as slices, each with the steps inside it."""
    end = start
    for span in sorted((s for s in spans if s.parent is None), key=lambda span: span.start_ns):
        at = max(end, start + span.start_ns)
        end = at + max(span.ns, 0)
        inner = [one for one in spans if one.parent is not None and _begins_within(one, span)]
        steps = tuple(_steps(span, inner, (at - span.start_ns, end), 1))
        yield Slice(span.name, at, end - at, steps)


def _begins_within(step: Span, phase: Span) -> bool:
    return phase.start_ns <= step.start_ns <= phase.start_ns + phase.ns


def _steps(
    phase: Span, spans: Sequence[Span], place: tuple[int, int], depth: int
) -> Iterator[Slice]:
    """Yield the steps of a span, chosen from `spans` that began in it, each with its own steps.

    `place` holds the start of the round and the end of the span. Steps are cut at the end of the
    span, because the span's length is the measured one. Steps below `MAX_STEP_DEPTH` are left out.
    """
    at, (origin, limit) = 0, place
    steps = [span for span in spans if span.parent == phase.name]
    rest = [span for span in spans if span.parent != phase.name] if depth < MAX_STEP_DEPTH else []
    for span in sorted(steps, key=lambda span: span.start_ns):
        at = min(max(at, origin + span.start_ns), limit)
        end = min(at + max(span.ns, 0), limit)
        inner = [one for one in rest if 0 <= one.start_ns - span.start_ns < max(span.ns, 1)]
        yield Slice(span.name, at, end - at, tuple(_steps(span, inner, (origin, end), depth + 1)))
        at = end


def _with_gaps(phases: Iterable[Slice], start: int, end: int) -> Iterator[Slice]:
    """Yield the phases, with a host gap wherever time passed between them.

    Phases that an overlap moved to a later start shorten the gap at the end.
    """
    at = start
    for phase in phases:
        if phase.start_ns > at:
            yield Slice(HOST_GAP, at, phase.start_ns - at)
        yield phase
        at = phase.end_ns
    if end > at:
        yield Slice(HOST_GAP, at, end - at)
