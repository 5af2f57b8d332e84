"""Which times of a capture are impossible: no clock runs backwards, no part outlasts its whole.

Every bound leaves room for what honest clocks do. A clock may tick every 15 ms. A device's clock
may drift from the host's. A device may still be busy while the host goes on. A time that was not
recorded is 0 on every line of its kind, and contradicts nothing. Knows columns.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, contradict_times
from specprof.analysis.tables import Ints

MAX_CLOCK_ERROR_NS = 20_000_000
"""Nanoseconds by which two clocks may differ: the tick of a coarse clock."""
MAX_OVERLAP_FRAC = 0.8
"""Share of a round by which it may overlap the next, which may begin before the device has ended
this round."""
MAX_CLOCK_DRIFT_FRAC = 0.1
"""Share of a time by which two clocks may differ, because they run at different rates."""
SYNTHETIC = "synthetic"
"""The backend that makes up its rounds' times, while the times on its end line are real."""
MAX_VERIFY_RATIO = 1000
"""The most plain steps that verifying one token may cost. A plain step is one target forward."""


def impossible_times(columns: Columns) -> Iterator[Contradiction]:
    """Yield every contradiction of times. Requires that every round stands once, and in order."""
    if len(columns.rounds):
        yield from _missing_starts(columns)
        yield from _long_spans(columns)
        yield from _outlasted_bursts(columns)
        yield from _overlapping_rounds(columns)
        yield from _impossible_plain_steps(columns)
    yield from _overlapping_bursts(columns)
    yield from _late_prefills(columns)
    yield from _early_end(columns)


def _missing_starts(columns: Columns) -> Iterator[Contradiction]:
    """Look for rounds that all start at 0 while a burst or prefill starts later."""
    rounds = columns.rounds
    begun = [(one.burst, one.start_ns) for one in columns.bursts]
    begun += [(one.burst, one.start_ns) for one in columns.prefills]
    later = next(((burst, ns) for burst, ns in begun if ns > MAX_CLOCK_ERROR_NS), None)
    if len(rounds) > 1 and later and not rounds.start_ns.any():
        text = f"all {len(rounds):,} rounds start at 0 s, and burst {later[0]:,} at "
        yield contradict_times(text + _seconds(later[1]), rounds.index)


def _long_spans(columns: Columns) -> Iterator[Contradiction]:
    """Compare spans with rounds, each and in sum: over all rounds a clock's ticks even out."""
    rounds, over_ns = columns.rounds, -columns.gap_ns
    inside = over_ns > MAX_CLOCK_ERROR_NS + MAX_OVERLAP_FRAC * rounds.wall_ns
    wall_ns, spans_ns = int(rounds.wall_ns.sum()), int((rounds.wall_ns + over_ns).sum())
    if inside.any():
        yield contradict_times(
            "the spans of some rounds last longer than the rounds", rounds.index[inside]
        )
    elif spans_ns - wall_ns > MAX_CLOCK_ERROR_NS + MAX_OVERLAP_FRAC * wall_ns:
        text = f"the spans of the rounds last {_seconds(spans_ns)} together, and the rounds "
        yield contradict_times(text + _seconds(wall_ns), rounds.index[over_ns > 0])


def _outlasted_bursts(columns: Columns) -> Iterator[Contradiction]:
    """Look for a burst that took less time than the sum of its rounds."""
    rounds = columns.rounds
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    spent = np.bincount(of, weights=rounds.end_ns - rounds.start_ns)
    row = dict(zip(bursts.tolist(), spent.tolist(), strict=True))
    for one in columns.bursts:
        spent_ns = row.get(one.burst, 0.0)
        if spent_ns > (1 + MAX_CLOCK_DRIFT_FRAC) * one.wall_ns + MAX_CLOCK_ERROR_NS:
            text = f"the rounds of burst {one.burst:,} last longer than the burst: "
            text += f"{_seconds(spent_ns)} and {_seconds(one.wall_ns)}"
            yield contradict_times(text, rounds.index[rounds.burst == one.burst])
            return


def _impossible_plain_steps(columns: Columns) -> Iterator[Contradiction]:
    """Look for plain steps that are too short for a forward, and for steps of an unknown burst."""
    if not columns.plains:
        return
    rounds, steps = columns.rounds, [ns for one in columns.plains for ns in one.steps_ns]
    step_ns, header = float(np.median(steps)) if steps else 0.0, columns.header
    read_ns, verify_ns = header.clock.read_ns if header is not None else 0.0, _verify_ns(columns)
    if 0 < step_ns < read_ns / 2:
        text = f"plain steps take {step_ns:,.0f} ns, and reading their clock takes {read_ns:,.0f}"
        yield contradict_times(text)
    elif 0 < step_ns < verify_ns / MAX_VERIFY_RATIO:
        text = f"plain steps take {step_ns:,.0f} ns, and verifying takes {verify_ns:,.0f} a token"
        yield contradict_times(text)
    known = {one.burst for one in columns.bursts} | {one.burst for one in columns.prefills}
    known |= set(np.unique(rounds.burst).tolist())
    foreign = [one.burst for one in columns.plains if one.burst not in known]
    gapless = not len(columns.damaged) and rounds.index[-1] == len(rounds) - 1
    if foreign and gapless and columns.end and columns.end.rounds == len(rounds):
        yield contradict_times(
            f"plain steps name burst {foreign[0]:,}, which the capture does not have"
        )


def _verify_ns(columns: Columns) -> float:
    """Return the median nanoseconds per verified token; 0 where not recorded."""
    rounds, verify = columns.rounds, columns.spans.get("verify")
    drafting = rounds.drafted > 0
    if verify is None or not drafting.any():
        return 0.0
    return float(np.median((verify * rounds.shared)[drafting] / (rounds.drafted[drafting] + 1)))


def _overlapping_rounds(columns: Columns) -> Iterator[Contradiction]:
    rounds, order = columns.rounds, columns.burst_order
    burst, start = rounds.burst[order], rounds.start_ns[order]
    ends, took = rounds.end_ns[order], (rounds.end_ns - rounds.start_ns)[order]
    over = (burst[1:] == burst[:-1]) & (
        ends[:-1] - start[1:] > MAX_CLOCK_ERROR_NS + MAX_OVERLAP_FRAC * took[:-1]
    )
    if over.any() and start.any():  # a recorder that times only durations has no starts
        text = "rounds of one burst overlap in time"
        yield contradict_times(text, np.sort(rounds.index[order][:-1][over]))


def _overlapping_bursts(columns: Columns) -> Iterator[Contradiction]:
    """Look for bursts that overlap in time although one sequence is decoded at a time."""
    header = columns.header
    if header is None or header.spec.settings.batch > 1 or _is_interleaved(columns.rounds.burst):
        return
    bursts = sorted(columns.bursts, key=lambda one: one.burst)
    if not any(one.start_ns for one in bursts):
        return
    for one, other in pairwise(bursts):
        end_ns = one.start_ns + one.wall_ns
        if end_ns - other.start_ns > MAX_CLOCK_ERROR_NS + MAX_CLOCK_DRIFT_FRAC * one.wall_ns:
            text = f"burst {one.burst:,} lasts until {_seconds(end_ns)}, and burst {other.burst:,}"
            yield contradict_times(f"{text} starts at {_seconds(other.start_ns)}")
            return


def _late_prefills(columns: Columns) -> Iterator[Contradiction]:
    """Look for a prefill that ends later than its burst does."""
    if not any(one.start_ns for one in columns.bursts):
        return
    ends_ns = {one.burst: one.start_ns + one.wall_ns for one in columns.bursts}
    for one in columns.prefills:
        end_ns, burst_ns = one.start_ns + one.wall_ns, ends_ns.get(one.burst)
        if (
            burst_ns is not None
            and end_ns - burst_ns > MAX_CLOCK_ERROR_NS + MAX_CLOCK_DRIFT_FRAC * one.wall_ns
        ):
            text = f"the prefill of burst {one.burst:,} lasts until {_seconds(end_ns)}, and the "
            yield contradict_times(f"{text}burst until {_seconds(burst_ns)}")
            return


def _early_end(columns: Columns) -> Iterator[Contradiction]:
    """Compare the end line's total time with the rounds' times and with the time of recording."""
    header, end, rounds = columns.header, columns.end, columns.rounds
    if end is None:
        return
    made_up = header is not None and header.spec.settings.backend == SYNTHETIC
    longest_ns = int((rounds.end_ns - rounds.start_ns).max(initial=0))
    last_ns = int(rounds.end_ns.max(initial=0))
    if not made_up and last_ns - MAX_CLOCK_ERROR_NS - longest_ns > end.wall_ns:
        text = f"its end line counts {end.wall_ns / 1e9:,.1f} s, and rounds end later than that"
        yield contradict_times(text, rounds.index[rounds.end_ns == last_ns])
    for name, ns in (("writing", end.write_ns), ("observing", end.observe_ns)):
        if ns > (1 + MAX_CLOCK_DRIFT_FRAC) * end.wall_ns + MAX_CLOCK_ERROR_NS:
            text = (
                f"its end line counts {_seconds(end.wall_ns)}, and {_seconds(ns)} of {name} in it"
            )
            yield contradict_times(text)


def _is_interleaved(burst: Ints) -> bool:
    return bool((np.diff(burst) < 0).any())


def _seconds(ns: float) -> str:
    return f"{ns / 1e9:,.3f} s"
