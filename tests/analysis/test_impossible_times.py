"""Times that can't be are said with their numbers, and no honest clock is accused of any."""

import re

import msgspec
import pytest

from captures import events
from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.diagnose import diagnose
from specprof.records import Burst, End, Header, Plain, Prefill, Round

replace = msgspec.structs.replace
LONG = {"stops": 6, "max_new_tokens": 120, "context": 4000}
WAYS = [LONG, LONG | {"batch": 3}, LONG | {"shape": "static-tree"}, {"drafter": "none"}, {}]
SECOND, TICK_NS = 10**9, 15_625_000


def found(made):
    """Return what the events' contradictions are of, and in words."""
    columns = Columns()
    columns.feed(made)
    return [(each.of, each.told) for each in contradictions(columns)]


def every(kind, change, **settings):
    """Return a long capture with every line of a kind changed."""
    made = events(**LONG | settings)
    return [change(each) if isinstance(each, kind) else each for each in made]


def native(made):
    """Return them as another backend's, whose times nobody made up."""
    header = made[0]
    settings = replace(header.spec.settings, backend="native")
    return [replace(header, spec=replace(header.spec, settings=settings)), *made[1:]]


def timed_by(read_ns, made):
    """Return them as timed by a clock that takes so long to read."""
    return [replace(made[0], clock=replace(made[0].clock, read_ns=read_ns)), *made[1:]]


def nothing_but(one):
    return replace(one, steps_ns=[1] * len(one.steps_ns))


IMPOSSIBLE = [
    (every(Plain, nothing_but), "plain steps take 1 ns, and verifying takes"),
    (
        timed_by(
            50.0,
            every(
                (Plain, Round),
                lambda e: replace(e, spans=[]) if isinstance(e, Round) else nothing_but(e),
            ),
        ),
        "plain steps take 1 ns, and reading their clock takes 50",
    ),
    (every(Round, lambda e: replace(e, wall_ns=0)), "the spans of the rounds last"),
    (every(Round, lambda e: replace(e, start_ns=0)), "rounds start at 0 s, and burst"),
    (native(every(End, lambda e: replace(e, wall_ns=0))), "rounds end later than that"),
    (every(End, lambda e: replace(e, write_ns=e.wall_ns * 2)), "of writing in it"),
    (every(End, lambda e: replace(e, observe_ns=e.wall_ns * 2)), "of observing in it"),
    (
        every(Burst, lambda e: replace(e, wall_ns=e.wall_ns + 2 * SECOND)),
        "burst 0 lasts until 2.",
    ),
    (
        every(Prefill, lambda e: replace(e, wall_ns=e.wall_ns + 9 * SECOND)),
        "the prefill of burst 0 lasts until 9.",
    ),
    (
        every(Plain, lambda e: replace(e, burst=e.burst + 70)),
        "name burst 70, which the capture does not have",
    ),
]


@pytest.mark.parametrize(("made", "told"), IMPOSSIBLE)
def test_times_that_cannot_be_are_said_with_their_numbers(made, told):
    """Each by itself; what was accepted still counts."""
    said = found(made)
    assert {of for of, _ in said} == {"times"}
    assert any(told in words for _, words in said), said


def coarse(ns):
    return ns // TICK_NS * TICK_NS


def ticking(event):
    """Return a line as timed by a clock that ticks every 15.6 ms."""
    match event:
        case Round() | Prefill():
            begun, ends = coarse(event.start_ns), event.start_ns + event.wall_ns
            spans = [
                replace(
                    span,
                    start_ns=coarse(event.start_ns + span.start_ns) - begun,
                    ns=coarse(event.start_ns + span.start_ns + span.ns)
                    - coarse(event.start_ns + span.start_ns),
                )
                for span in event.spans
            ]
            return replace(event, start_ns=begun, wall_ns=coarse(ends) - begun, spans=spans)
        case Burst():
            begun, ends = coarse(event.start_ns), event.start_ns + event.wall_ns
            return replace(event, start_ns=begun, wall_ns=coarse(ends) - begun)
        case Plain():
            steps = [TICK_NS * (i % 4 == 0) for i in range(len(event.steps_ns))]
            return replace(event, steps_ns=steps)
        case End():
            return replace(event, wall_ns=coarse(event.wall_ns))
    return event


def durations_alone(event):
    """Return a line without its place in time."""
    return replace(event, start_ns=0) if isinstance(event, Round | Prefill | Burst) else event


def untimed(event):
    """Return a line without any time."""
    match event:
        case Round() | Prefill():
            return replace(event, start_ns=0, wall_ns=0, spans=[])
        case Burst():
            return replace(event, start_ns=0, wall_ns=0)
        case Plain():
            return replace(event, steps_ns=[0] * len(event.steps_ns))
    return event


def drifting(event):
    """Return a line as timed by a device whose clock runs a fiftieth too fast."""
    if isinstance(event, Round | Prefill | Burst):
        return replace(event, wall_ns=event.wall_ns * 51 // 50)
    return event


def fed_before(made):
    """Return them as recorded by whose prefill is over, and long, before the burst is opened."""
    later = 30 * SECOND
    return [
        replace(one, start_ns=one.start_ns + (one.burst + 1) * later)
        if isinstance(one, Round | Burst)
        else replace(one, start_ns=one.burst * later + later // 8, wall_ns=later // 2)
        if isinstance(one, Prefill)
        else replace(one, wall_ns=60 * later)
        if isinstance(one, End)
        else one
        for one in made
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", [ticking, durations_alone, untimed, drifting])
def test_no_honest_clock_is_accused(change, way):
    """A coarse one, none at all, durations without places, and a device's own."""
    assert not found(native([change(each) for each in events(**way)]))


def test_a_prefill_may_be_over_before_its_burst_begins():
    """Whoever records a loop of their own may open the burst after it."""
    assert not found(native(fed_before(events(**LONG))))


def test_steps_that_took_no_tick_are_no_contradiction():
    """A coarse clock tells 0."""
    assert not found(every(Plain, lambda e: replace(e, steps_ns=[0] * len(e.steps_ns))))


def hurried(one):
    """Return a round too short for its clock, in which some spans are told all the same."""
    spans = [replace(span, ns=span.ns // 10_000) for span in one.spans]
    return replace(one, wall_ns=0, spans=spans)


def passed_over(one):
    """Return a round whose clock told nothing of it."""
    return replace(one, wall_ns=0, spans=[])


@pytest.mark.parametrize("change", [hurried, passed_over])
def test_rounds_without_length_have_no_share_that_is_no_number(change):
    """A clock may have told so little: no rule shows a nan."""
    columns = Columns()
    columns.feed(every(Round, change))
    assert not contradictions(columns)
    for each in diagnose(Evidence(columns)).verdicts:
        assert not re.search(r"\b(nan|inf)\b", str(each.outcome)), each.rule


def test_a_header_alone_has_no_times():
    """Nor has a run that ended before its first round."""
    made = events(**LONG)
    assert not found([made[0], replace(made[-1], rounds=0, emitted=0)])
    assert isinstance(made[0], Header)
