"""Waits for a processor, and the spread of equal forwards, from a capture's samples and spans."""

import msgspec
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.contention import contention, spread
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.records import Burst, Header, Round, Sample, Span

replace = msgspec.structs.replace
S = 1_000_000_000


def evidence_on(events):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns)


def sampled(events, *readings, device="cpu"):
    """Replace the samples by some at equal times, each with these counters."""
    rest = [replace(e, device=device) if isinstance(e, Header) else e for e in events]
    rest = [each for each in rest if not isinstance(each, Sample)]
    last = [each for each in rest if isinstance(each, Burst)][-1]
    whole = last.start_ns + last.wall_ns
    samples = [
        Sample(at_ns=whole * i // (len(readings) - 1), **each) for i, each in enumerate(readings)
    ]
    return [*rest[:-1], *samples, rest[-1]]


def walls(events):
    """Return the nanoseconds of everything that was decoded, up to the last burst's end."""
    evidence = evidence_on(events)
    columns = evidence.columns
    steps = sum(sum(one.steps_ns) for one in columns.plains)
    fed = sum(one.wall_ns for one in columns.prefills)
    last = columns.bursts[-1]
    return min(int(columns.rounds.wall_ns.sum()) + steps + fed, last.start_ns + last.wall_ns)


EVENTS = captures.events(stops=4, max_new_tokens=80, context=4000)
WORK = walls(EVENTS)


def reading(ran, waited, preempted=0, processor=None):
    return {
        "loop_ran_ns": int(ran),
        "loop_waited_ns": int(waited),
        "preempted": preempted,
        "processor_ns": int(ran if processor is None else processor),
    }


COUNTED_LITTLE = {"processor_ns": S, "preempted": 9}


def test_the_last_reading_less_the_first_counts():
    """What the process did before its first sample is left out."""
    events = sampled(EVENTS, reading(S, S, 5), reading(2 * S, S, 6), reading(S + 3 * S, 2 * S, 9))
    found = evidence_on(events).ask(contention)
    assert (found.waited_ns, found.processor_ns, found.preempted) == (S, 3 * S, 4)
    assert found.counted


@pytest.mark.parametrize(("lacks", "counted"), [("loop_ran_ns", True), ("loop_waited_ns", False)])
def test_a_wait_is_counted_only_where_the_wait_itself_was(lacks, counted):
    """Where only the thread's work was counted, its wait is an estimate, and is called one."""
    both = [reading(0, 0), reading(S, S, 100)]
    some = [{name: each for name, each in one.items() if name != lacks} for one in both]
    assert evidence_on(sampled(EVENTS, *some)).ask(contention).counted is counted


def test_a_loop_that_waits_for_its_device_is_not_slowed_by_others():
    """A tenth of its time it runs, it never waits for a processor, and each sleep is its own."""
    events = sampled(EVENTS, reading(0, 0), reading(WORK / 10, WORK / 1000, 3), device="cuda:0")
    assert evidence_on(events).ask(contention).waited_frac < 0.01


def test_time_between_the_rounds_in_which_a_loop_idles_hides_nothing():
    """The wait is measured against the rounds' time where that is longer, else against work."""
    events = sampled(EVENTS, reading(0, 0), reading(WORK / 2, WORK / 2, 300))
    assert evidence_on(events).ask(contention).waited_frac == pytest.approx(0.5, abs=0.02)
    late = [
        replace(e, at_ns=9 * e.at_ns) if isinstance(e, Sample) and e.at_ns else e for e in events
    ]
    assert evidence_on(late).ask(contention).waited_frac > 0.4


def test_without_the_systems_count_the_switches_bound_the_wait():
    """A sleeping loop loses time too, and a few switches don't explain it."""
    few = [{"processor_ns": 0, "preempted": 0}, {"processor_ns": WORK // 2, "preempted": 2}]
    found = evidence_on(sampled(EVENTS, *few)).ask(contention)
    assert (found.waited_ns, found.counted) == (8_000_000, False)
    many = [few[0], {"processor_ns": WORK // 2, "preempted": 10_000}]
    found = evidence_on(sampled(EVENTS, *many)).ask(contention)
    assert found.waited_frac == pytest.approx(0.5, abs=0.02)
    threads = [few[0], {"processor_ns": 2 * WORK, "preempted": 10_000}]
    assert evidence_on(sampled(EVENTS, *threads)).ask(contention).waited_ns == 0


@pytest.mark.parametrize(
    ("readings", "device", "why"),
    [
        ([{}, {}], "cpu", "processor time was not recorded"),
        ([{"processor_ns": 1}, {}], "cpu", "processor time was not recorded"),
        ([COUNTED_LITTLE, COUNTED_LITTLE], "cuda", "count"),
        ([{"processor_ns": 0}, {"processor_ns": S}], "cpu", "count"),
    ],
)
def test_what_was_not_counted_is_missing(readings, device, why):
    """An older capture, and systems that count less."""
    with pytest.raises(MissingEvidence, match=why):
        evidence_on(sampled(EVENTS, *readings, device=device)).ask(contention)


def test_a_moment_is_too_short_to_tell():
    """A fifth of a second of work is the least."""
    short = captures.events(stops=1, max_new_tokens=2, context=100)
    work = walls(short)
    assert work < S / 5
    with pytest.raises(MissingEvidence, match="only"):
        evidence_on(sampled(short, reading(0, 0), reading(work, 0))).ask(contention)


def test_counters_that_run_backwards_give_no_negative_time():
    """A damaged capture may say anything."""
    found = evidence_on(sampled(EVENTS, reading(5 * S, 5 * S, 9), reading(S, S, 1))).ask(contention)
    assert found.waited_ns == 0
    assert found.preempted == 0
    assert found.processor_ns == 0


def with_verify(events, ns_of):
    def change(one, number):
        spans = [Span(s.name, s.parent, s.start_ns, ns_of(number)) if s.name == "verify" else s
                 for s in one.spans]  # fmt: skip
        return replace(one, spans=spans, wall_ns=one.wall_ns + 9_000_000)

    numbers = iter(range(10**6))
    changed = [change(e, next(numbers)) if isinstance(e, Round) else e for e in events]
    return captures.agreeing(changed)


def test_equal_forwards_that_take_equally_long_have_no_spread():
    """And every second one that takes half as long again: a half."""
    even = evidence_on(with_verify(EVENTS, lambda number: 4_000_000)).ask(spread)
    assert (even.frac, even.n > 20) == (0.0, True)
    uneven = with_verify(EVENTS, lambda number: 6_000_000 if number % 2 else 4_000_000)
    assert evidence_on(uneven).ask(spread).frac == pytest.approx(0.5)


def test_forwards_of_other_widths_are_not_compared():
    """A lone round has no equal."""
    lone = captures.events(stops=1, max_new_tokens=2, context=100)
    with pytest.raises(MissingEvidence, match="no two equal forwards"):
        evidence_on(lone).ask(spread)
