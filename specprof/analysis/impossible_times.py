"""Which times of a capture can't be: no clock runs backwards, and a part is no longer than all.

Every bound leaves room for what honest clocks do: one that ticks every 15 ms, a device's that parts
from the host's, a device still busy as the host goes on. A time that was left out is 0 wherever
that kind of line tells it, and contradicts nothing. Knows columns.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, of_times
from specprof.analysis.tables import Ints

SLACK_NS = 20_000_000
"""Clocks may part by so much, the tick of a coarse one, and by `SLACK` of what is timed."""
SLACK = 0.8
"""Host and device overlap: the next round may begin before the device has ended this one."""
APART = 0.1
"""Of what is timed, where nothing overlaps: clocks that run at other rates."""
SYNTHETIC = "synthetic"
"""The backend whose rounds' times are made up, while its end line's are real."""
CHEAPER = 1000
"""A plain step is one forward of the target; to verify costs no more than so many a token."""


def impossible_times(columns: Columns) -> Iterator[Contradiction]:
    """Yield every contradiction of times; the rounds have one place each, in order."""
    if len(columns.rounds):
        yield from _left_out(columns)
        yield from _spans(columns)
        yield from _outlasted(columns)
        yield from _overlapping(columns)
        yield from _plain(columns)
    yield from _together(columns)
    yield from _prefills(columns)
    yield from _ended(columns)


def _left_out(columns: Columns) -> Iterator[Contradiction]:
    """Look for rounds that all start at once while bursts or prefills have places in time."""
    rounds = columns.rounds
    begun = [(one.burst, one.start_ns) for one in columns.bursts]
    begun += [(one.burst, one.start_ns) for one in columns.prefills]
    later = next(((burst, ns) for burst, ns in begun if ns > SLACK_NS), None)
    if len(rounds) > 1 and later and not rounds.start_ns.any():
        told = f"all {len(rounds):,} rounds start at 0 s, and burst {later[0]:,} at "
        yield of_times(told + _seconds(later[1]), rounds.index)


def _spans(columns: Columns) -> Iterator[Contradiction]:
    """Compare the spans of each round with it, and those of all with all: ticks even out."""
    rounds, over_ns = columns.rounds, -columns.gap_ns
    inside = over_ns > SLACK_NS + SLACK * rounds.wall_ns
    wall_ns, spans_ns = int(rounds.wall_ns.sum()), int((rounds.wall_ns + over_ns).sum())
    if inside.any():
        yield of_times("the spans of some rounds last longer than the rounds", rounds.index[inside])
    elif spans_ns - wall_ns > SLACK_NS + SLACK * wall_ns:
        told = f"the spans of the rounds last {_seconds(spans_ns)} together, and the rounds "
        yield of_times(told + _seconds(wall_ns), rounds.index[over_ns > 0])


def _outlasted(columns: Columns) -> Iterator[Contradiction]:
    """Look for a burst that took less time than its rounds together."""
    rounds = columns.rounds
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    spent = np.bincount(of, weights=rounds.end_ns - rounds.start_ns)
    row = dict(zip(bursts.tolist(), spent.tolist(), strict=True))
    for one in columns.bursts:
        spent_ns = row.get(one.burst, 0.0)
        if spent_ns > (1 + APART) * one.wall_ns + SLACK_NS:
            told = f"the rounds of burst {one.burst:,} last longer than the burst: "
            told += f"{_seconds(spent_ns)} and {_seconds(one.wall_ns)}"
            yield of_times(told, rounds.index[rounds.burst == one.burst])
            return


def _plain(columns: Columns) -> Iterator[Contradiction]:
    """Look for plain steps that no forward can have been, and for those of no burst."""
    if not columns.plains:
        return
    rounds, steps = columns.rounds, [ns for one in columns.plains for ns in one.steps_ns]
    step_ns, header = float(np.median(steps)) if steps else 0.0, columns.header
    read_ns, verify_ns = header.clock.read_ns if header is not None else 0.0, _verify_ns(columns)
    if 0 < step_ns < read_ns / 2:
        told = f"plain steps take {step_ns:,.0f} ns, and to read their clock takes {read_ns:,.0f}"
        yield of_times(told)
    elif 0 < step_ns < verify_ns / CHEAPER:
        told = f"plain steps take {step_ns:,.0f} ns, and verifying takes {verify_ns:,.0f} a token"
        yield of_times(told)
    known = {one.burst for one in columns.bursts} | {one.burst for one in columns.prefills}
    known |= set(np.unique(rounds.burst).tolist())
    foreign = [one.burst for one in columns.plains if one.burst not in known]
    gapless = not len(columns.damaged) and rounds.index[-1] == len(rounds) - 1
    if foreign and gapless and columns.end and columns.end.rounds == len(rounds):
        yield of_times(f"plain steps name burst {foreign[0]:,}, which the capture does not have")


def _verify_ns(columns: Columns) -> float:
    """Return what the target took for each token it verified, in the median; 0: not recorded."""
    rounds, verify = columns.rounds, columns.spans.get("verify")
    drafting = rounds.drafted > 0
    if verify is None or not drafting.any():
        return 0.0
    return float(np.median((verify * rounds.shared)[drafting] / (rounds.drafted[drafting] + 1)))


def _overlapping(columns: Columns) -> Iterator[Contradiction]:
    rounds, order = columns.rounds, columns.burst_order
    burst, start = rounds.burst[order], rounds.start_ns[order]
    ends, took = rounds.end_ns[order], (rounds.end_ns - rounds.start_ns)[order]
    over = (burst[1:] == burst[:-1]) & (ends[:-1] - start[1:] > SLACK_NS + SLACK * took[:-1])
    if over.any() and start.any():  # else who recorded timed durations alone
        told = "rounds of one burst lie over one another in time"
        yield of_times(told, np.sort(rounds.index[order][:-1][over]))


def _together(columns: Columns) -> Iterator[Contradiction]:
    """Look for bursts that lie over one another where one sequence is decoded at a time."""
    header = columns.header
    if header is None or header.spec.settings.batch > 1 or _interleaved(columns.rounds.burst):
        return
    bursts = sorted(columns.bursts, key=lambda one: one.burst)
    if not any(one.start_ns for one in bursts):
        return
    for one, other in pairwise(bursts):
        end_ns = one.start_ns + one.wall_ns
        if end_ns - other.start_ns > SLACK_NS + APART * one.wall_ns:
            told = f"burst {one.burst:,} lasts until {_seconds(end_ns)}, and burst "
            yield of_times(f"{told}{other.burst:,} starts at {_seconds(other.start_ns)}")
            return


def _prefills(columns: Columns) -> Iterator[Contradiction]:
    """Look for a prefill that is not over as its burst is; one before its burst may be longer."""
    if not any(one.start_ns for one in columns.bursts):
        return
    ends_ns = {one.burst: one.start_ns + one.wall_ns for one in columns.bursts}
    for one in columns.prefills:
        end_ns, burst_ns = one.start_ns + one.wall_ns, ends_ns.get(one.burst)
        if burst_ns is not None and end_ns - burst_ns > SLACK_NS + APART * one.wall_ns:
            told = f"the prefill of burst {one.burst:,} lasts until {_seconds(end_ns)}, and the "
            yield of_times(f"{told}burst until {_seconds(burst_ns)}")
            return


def _ended(columns: Columns) -> Iterator[Contradiction]:
    """Compare the end line's time with the rounds', and with what of it was recording."""
    header, end, rounds = columns.header, columns.end, columns.rounds
    if end is None:
        return
    made_up = header is not None and header.spec.settings.backend == SYNTHETIC
    longest_ns = int((rounds.end_ns - rounds.start_ns).max(initial=0))
    last_ns = int(rounds.end_ns.max(initial=0))
    if not made_up and last_ns - SLACK_NS - longest_ns > end.wall_ns:
        told = f"its end line counts {end.wall_ns / 1e9:,.1f} s, and rounds end later than that"
        yield of_times(told, rounds.index[rounds.end_ns == last_ns])
    for name, ns in (("writing", end.write_ns), ("observing", end.observe_ns)):
        if ns > (1 + APART) * end.wall_ns + SLACK_NS:
            told = (
                f"its end line counts {_seconds(end.wall_ns)}, and {_seconds(ns)} of {name} in it"
            )
            yield of_times(told)


def _interleaved(burst: Ints) -> bool:
    return bool((np.diff(burst) < 0).any())


def _seconds(ns: float) -> str:
    return f"{ns / 1e9:,.3f} s"
