"""Compare events on the device with a host clock that waits for the device: they must agree.

In one kind of play both clocks are read at the same marks, each when the device has finished all
its work. Host time is device time then, so a span must have equal lengths by both. Waiting changes
what is timed, because no pass is prepared while another is computed. So it is played in turns with
events left alone, as a run uses them. These are compared with a whole burst's host time, and with
the waited-for verify pass of a large target. That pass is the device's own work and takes as long
in both kinds of play. Events that didn't follow the device would show how long the host took to
launch the pass instead.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from on_gpu.pairs import Pair, list_pairs
from on_gpu.rows import Ask, Row, figure_row, guard_rows

from specprof.analysis.paired_timing import median
from specprof.bench.repeated import Repeated
from specprof.engine.instruments.bout import synchronise
from specprof.engine.instruments.stopwatch import Clock, Lap, Mark, clock_facts, clock_for
from specprof.engine.patch import swapped

AGREEMENT_BOUNDS = (0.98, 1.02)
JUDGED_SPANS = ("round", "draft", "verify")
"""Spans that are long enough for `AGREEMENT_BOUNDS` to be their goal."""
DEVICE_BOUND_SPANS = ("verify",)
"""Spans whose pace the device sets if the target is large."""
STAND_IN_NOTE = "events need CUDA: the host's clock takes their place"
MAX_SPANS_OVER_ROUND = 1 + 1e-6
"""Spans of a round may exceed its wall time by the rounding of events."""


Ratios = defaultdict[str, list[float]]
"""Span -> one figure for each repetition."""
LEFT_ALONE_BOUNDS = (0.85, 1.05)
"""For a large target's verify pass: the host's share of a waited-for pass is a few percent."""


class Waiting:
    """Reads the host's counter and an event when the device has finished its work."""

    kind = "perf_counter_ns and events, synchronised"
    late = False

    def __init__(self, device: torch.device, events: Clock) -> None:
        self.device = device
        self.events = events

    def mark(self) -> tuple[int, Mark]:
        """Wait, then make both marks."""
        synchronise(self.device)
        return time.perf_counter_ns(), self.events.mark()

    def between(self, start: tuple[int, Mark], end: tuple[int, Mark]) -> int:
        """Return the nanoseconds from one mark to another by the host's clock."""
        return end[0] - start[0]


class ByEvents(Waiting):
    """Reads `Waiting`'s marks by their events."""

    def between(self, start: tuple[int, Mark], end: tuple[int, Mark]) -> int:
        """Return the nanoseconds from one mark to another by the device's events."""
        return self.events.between(start[1], end[1])


def rows(ask: Ask) -> Iterator[Row]:
    """Yield how far they agree, where the host sets the pace and where the device does."""
    for pair in list_pairs(ask):
        yield from guard_rows(ask, pair.name, _clock_rows(ask, pair))
    took = clock_facts(clock_for(ask.device)).read_ns / 1e3
    yield Row(what="a mark", figure=took, unit="host µs/mark")


def _clock_rows(ask: Ask, pair: Pair) -> Iterator[Row]:
    loop, events = Repeated(pair.settings, ask.folder), clock_for(ask.device)
    waiting = Waiting(ask.device, events)
    ratios: dict[str, Ratios] = {"same": defaultdict(list), "alone": defaultdict(list)}
    bursts, covered = list[float](), list[float]()
    for repetition in range(ask.few(8, 2)):
        alone, both = list[Lap](), list[Lap]()
        for clock in (events, waiting, waiting, events):
            laps, over = _play_laps(loop, clock, seed=repetition)
            if clock is waiting:
                both += laps
            else:
                alone += laps
                bursts.append(over)
        by_events = ByEvents(ask.device, events)
        by_host, told = (
            _collect_spans(both),
            _collect_spans([replace(lap, clock=by_events) for lap in both]),
        )
        covered += _spans_over_round(alone)
        for span, times in _collect_spans(alone).items():
            ratios["same"][span].append(_divide_medians(told[span], by_host[span]))
            ratios["alone"][span].append(_divide_medians(times, told[span]))
    yield from _ratio_rows(ask, pair, ratios)
    yield from _burst_rows(ask, pair.name, bursts, covered)


def _ratio_rows(ask: Ask, pair: Pair, ratios: dict[str, Ratios]) -> Iterator[Row]:
    """Yield for each span events over the host at the same marks, and left alone over these."""
    for span, found in ratios["same"].items():
        least, most = AGREEMENT_BOUNDS
        yield figure_row(
            median(np.array(found)),
            what=f"{pair.name}: {span}, events over synchronised",
            unit="median/median",
            note="" if ask.cuda else STAND_IN_NOTE,
            **({"at_least": least, "at_most": most} if span in JUDGED_SPANS else {}),
        )
    for span, found in ratios["alone"].items():
        least, most = LEFT_ALONE_BOUNDS
        yield figure_row(
            median(np.array(found)),
            what=f"{pair.name}: {span}, events left alone over waited for",
            unit="median/median",
            note="" if ask.cuda else STAND_IN_NOTE,
            **(
                {"at_least": least, "at_most": most}
                if span in DEVICE_BOUND_SPANS and not pair.trained
                else {}
            ),
        )


def _burst_rows(ask: Ask, name: str, bursts: list[float], covered: list[float]) -> Iterator[Row]:
    """Yield a burst's length by events over the host's, and the share of a round in its spans."""
    least, most = AGREEMENT_BOUNDS
    yield figure_row(
        median(np.array(bursts)),
        what=f"{name}: a burst, events over synchronised",
        unit="time/time",
        at_least=least,
        at_most=most,
        note="" if ask.cuda else STAND_IN_NOTE,
    )
    yield Row(
        what=f"{name}: spans over their round, median",
        figure=float(np.median(covered)),
        unit="spans/wall",
        at_least=least,
    )
    yield Row(
        what=f"{name}: spans over their round, largest",
        figure=max(covered),
        unit="spans/wall",
        at_most=MAX_SPANS_OVER_ROUND,
        anywhere=True,
    )


def _divide_medians(times: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of `times` over the median of `others`."""
    return float(np.median(times) / np.median(others))


def _play_laps(loop: Repeated, clock: Clock, seed: int) -> tuple[list[Lap], float]:
    """Return a play's laps, and its length by the clock over its length by a waiting host."""
    lane, device = loop.run.lanes[0], loop.run.device
    lane.loop.parts.generator.manual_seed(seed)
    committed, new = list(loop.prompt), loop.run.settings.max_new_tokens
    with swapped(lane.loop.parts.watch, clock=clock):
        synchronise(device)
        began_ns, began = time.perf_counter_ns(), clock.mark()
        decoding = lane.loop.rounds(committed, new_tokens=new, stop=frozenset())
        laps = [played.lap for played in decoding]
        ended = clock.mark()
        synchronise(device)
        took_ns = time.perf_counter_ns() - began_ns
    loop.run.roll_back_to(len(loop.prompt))
    return laps, clock.between(began, ended) / took_ns


def _collect_spans(laps: Sequence[Lap]) -> dict[str, list[float]]:
    """Return the nanoseconds of every round and of its outermost spans."""
    found = defaultdict[str, list[float]](list)
    for lap in laps:
        found["round"].append(lap.wall_ns())
        for span in lap.spans():
            if span.parent is None:
                found[span.name].append(span.ns)
    return found


def _spans_over_round(laps: Sequence[Lap]) -> list[float]:
    """Return the share of each round that its outermost spans cover."""
    return [
        sum(span.ns for span in lap.spans() if span.parent is None) / lap.wall_ns() for lap in laps
    ]
