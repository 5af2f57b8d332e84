"""Events on the device against a host clock that waits for it: both must tell the same times.

Where both are read at the same marks, each when the device has done all it was told, host time is
device time: a span's two lengths are of the same work and must be the same. That waiting changes
what it times (no pass is prepared while another is computed), so it is played in turns with events
left alone, as a run has them: those are held to a whole burst's host time, and to the waited-for
verify pass of a large target, which is the device's own work and as long in both; events that
didn't follow the device would tell how long the host took to ask for it.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from on_gpu.pairs import Pair, both
from on_gpu.rows import Ask, Row, apart, of

from specprof.analysis.paired_timing import median
from specprof.bench.repeated import Repeated
from specprof.engine.instruments.bout import synchronise
from specprof.engine.instruments.stopwatch import Clock, Lap, Mark, clock_facts, clock_for
from specprof.engine.patch import swapped

CLOSE = (0.98, 1.02)
HELD = ("round", "draft", "verify")
"""Spans long enough to be held to `CLOSE`."""
ALONE = ("verify",)
"""Spans the device sets the pace of where the target is large."""
STOOD_IN = "events, which needs CUDA, stood in for by the host's clock"
ROUNDED = 1 + 1e-6
"""Spans of a round may exceed its wall time by what events are rounded to."""


Ratios = defaultdict[str, list[float]]
"""By span one figure a repetition."""
LEFT_ALONE = (0.85, 1.05)
"""Of a large target's verify pass: the host's share of one that is waited for is a few percent."""


class Waiting:
    """The host's counter and an event, when the device has done all it was told."""

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
        """Return the nanoseconds from one mark to another by the host."""
        return end[0] - start[0]


class ByEvents(Waiting):
    """Reads the same marks by their events."""

    def between(self, start: tuple[int, Mark], end: tuple[int, Mark]) -> int:
        """Return the nanoseconds from one mark to another by the device."""
        return self.events.between(start[1], end[1])


def rows(ask: Ask) -> Iterator[Row]:
    """Yield whether they agree, where the host sets the pace and where the device does."""
    for pair in both(ask):
        yield from apart(ask, pair.name, _compared(ask, pair))
    took = clock_facts(clock_for(ask.device)).read_ns / 1e3
    yield Row(what="a mark", figure=took, unit="host µs/mark")


def _compared(ask: Ask, pair: Pair) -> Iterator[Row]:
    loop, events = Repeated(pair.settings, ask.folder), clock_for(ask.device)
    waiting = Waiting(ask.device, events)
    ratios: dict[str, Ratios] = {"same": defaultdict(list), "alone": defaultdict(list)}
    bursts, covered = list[float](), list[float]()
    for repetition in range(ask.few(8, 2)):
        alone, both = list[Lap](), list[Lap]()
        for clock in (events, waiting, waiting, events):
            laps, over = _played(loop, clock, seed=repetition)
            if clock is waiting:
                both += laps
            else:
                alone += laps
                bursts.append(over)
        by_events = ByEvents(ask.device, events)
        by_host, told = _spans(both), _spans([replace(lap, clock=by_events) for lap in both])
        covered += _covered(alone)
        for span, times in _spans(alone).items():
            ratios["same"][span].append(_over(told[span], by_host[span]))
            ratios["alone"][span].append(_over(times, told[span]))
    yield from _ratios(ask, pair, ratios)
    yield from _whole(ask, pair.name, bursts, covered)


def _ratios(ask: Ask, pair: Pair, ratios: dict[str, Ratios]) -> Iterator[Row]:
    """Yield, of each span, events over the host at the same marks, and left alone over those."""
    for span, found in ratios["same"].items():
        least, most = CLOSE
        yield of(
            median(np.array(found)),
            what=f"{pair.name}: {span}, events over synchronised",
            unit="median/median",
            note="" if ask.cuda else STOOD_IN,
            **({"at_least": least, "at_most": most} if span in HELD else {}),
        )
    for span, found in ratios["alone"].items():
        least, most = LEFT_ALONE
        yield of(
            median(np.array(found)),
            what=f"{pair.name}: {span}, events left alone over waited for",
            unit="median/median",
            note="" if ask.cuda else STOOD_IN,
            **({"at_least": least, "at_most": most} if span in ALONE and not pair.trained else {}),
        )


def _whole(ask: Ask, name: str, bursts: list[float], covered: list[float]) -> Iterator[Row]:
    """Yield a burst's length by events over the host's, and what of a round its spans cover."""
    least, most = CLOSE
    yield of(
        median(np.array(bursts)),
        what=f"{name}: a burst, events over synchronised",
        unit="time/time",
        at_least=least,
        at_most=most,
        note="" if ask.cuda else STOOD_IN,
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
        at_most=ROUNDED,
        anywhere=True,
    )


def _over(times: Sequence[float], others: Sequence[float]) -> float:
    """Return one median over another."""
    return float(np.median(times) / np.median(others))


def _played(loop: Repeated, clock: Clock, seed: int) -> tuple[list[Lap], float]:
    """Return a play's laps, and its length by the clock over that by a host that waits."""
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


def _spans(laps: Sequence[Lap]) -> dict[str, list[float]]:
    """Return the nanoseconds of every round and of the spans in it that lie in no other."""
    found = defaultdict[str, list[float]](list)
    for lap in laps:
        found["round"].append(lap.wall_ns())
        for span in lap.spans():
            if span.parent is None:
                found[span.name].append(span.ns)
    return found


def _covered(laps: Sequence[Lap]) -> list[float]:
    """Return what share of each round its outermost spans cover."""
    return [
        sum(span.ns for span in lap.spans() if span.parent is None) / lap.wall_ns() for lap in laps
    ]
