"""Events on the device against a host clock that waits for it: both must tell the same times.

The reference waits at every mark until the device has done all it was told, so that host time is
device time; it is played in turns with the events. Below some hundred microseconds the waiting
itself shows: goals are set for rounds, drafts and verify passes.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from on_gpu.pairs import both
from on_gpu.rows import Ask, Row, of

from specprof.analysis.interleaved import median
from specprof.engine.bout import settle
from specprof.engine.handed import replaced
from specprof.engine.repeated import Repeated
from specprof.engine.stopwatch import Clock, Lap, clock_facts, clock_for

CLOSE = (0.98, 1.02)
HELD = ("round", "draft", "verify")
"""Spans long enough to be held to `CLOSE`."""
ROUNDED = 1 + 1e-6
"""Spans of a round may exceed its wall time by what events are rounded to."""


class Waiting:
    """The host's counter, read when the device has done all it was told."""

    kind = "synchronised perf_counter_ns"
    late = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def mark(self) -> int:
        """Wait, then read."""
        settle(self.device)
        return time.perf_counter_ns()

    def between(self, start: int, end: int) -> int:
        """Return the nanoseconds from one reading to another."""
        return end - start


def rows(ask: Ask) -> Iterator[Row]:
    """Yield whether they agree, where the host sets the pace and where the device does."""
    for pair in both(ask):
        yield from _compared(ask, pair.name, Repeated(pair.settings, ask.folder))
    took = clock_facts(clock_for(ask.device)).read_ns / 1e3
    yield Row(what="a mark", figure=took, unit="host µs/mark")


def _compared(ask: Ask, name: str, engine: Repeated) -> Iterator[Row]:
    events, waiting = clock_for(ask.device), Waiting(ask.device)
    whole, ratios = [], defaultdict[str, list[float]](list)
    covered: list[float] = []
    for repetition in range(ask.few(8, 2)):
        order: list[Clock] = [events, waiting, waiting, events]
        read = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
        for clock in order:
            laps, over = _played(engine, clock, seed=repetition)
            for span, times in _spans(laps).items():
                read[clock.kind][span] += times
            if clock is events:
                whole.append(over)
                covered += _covered(laps)
        for span, times in read[events.kind].items():
            ratios[span].append(float(np.median(times) / np.median(read[waiting.kind][span])))
    stood_in = "" if ask.cuda else "events, which needs CUDA, stood in for by the host's clock"
    least, most = CLOSE
    for span, found in ratios.items():
        goal = {"at_least": least, "at_most": most} if span in HELD else {}
        yield of(
            median(np.array(found)),
            what=f"{name}: {span}, events over synchronised",
            unit="median/median",
            note=stood_in,
            **goal,
        )
    yield of(
        median(np.array(whole)),
        what=f"{name}: a burst, events over synchronised",
        unit="time/time",
        at_least=least,
        at_most=most,
        note=stood_in,
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


def _played(engine: Repeated, clock: Clock, seed: int) -> tuple[list[Lap], float]:
    """Return a play's laps, and its length by the clock over that by a host that waits."""
    lane, device = engine.wired.lanes[0], engine.wired.device
    lane.engine.generator.manual_seed(seed)
    committed, new = list(engine.prompt), engine.wired.settings.max_new_tokens
    with replaced(lane.engine.watch, "clock", clock):
        settle(device)
        began_ns, began = time.perf_counter_ns(), clock.mark()
        decoding = lane.engine.rounds(committed, new_tokens=new, stop=frozenset())
        laps = [played.lap for played in decoding]
        ended = clock.mark()
        settle(device)
        took_ns = time.perf_counter_ns() - began_ns
    engine.wired.roll_back_to(len(engine.prompt))
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
