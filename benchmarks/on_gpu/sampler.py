"""Measure what the sampler thread costs while a run decodes, and what it reads from NVML."""

import time
from collections.abc import Iterator

import numpy as np
from on_gpu.pairs import named_pair
from on_gpu.rows import NEEDS_CUDA, Ask, Row, figure_row

from specprof.analysis.paired_timing import speedup
from specprof.bench.repeated import Repeated
from specprof.engine.instruments.counters import SAMPLE_EVERY_S, SLOW_READING_S, Sampler

MAX_COST_RATIO = 1.01
COUNTERS = (
    "memory_used_bytes",
    "utilisation_percent",
    "power_watts",
    "sm_clock_mhz",
    "throttle",
)
"""Counters that only NVML has."""
MIN_REPETITIONS, MAX_REPETITIONS = 2, 12
"""Repetitions; the number between depends on the time."""
MIN_ARM_S = 4 * SAMPLE_EVERY_S
"""Time that each arm decodes: long enough for several readings."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield decoding with the sampler over without, and a reading's time and counters."""
    pair = named_pair(ask)
    loop = Repeated(pair.settings, ask.folder)
    played: list[list[float]] = []
    while len(played) < MIN_REPETITIONS or (
        len(played) < ask.few(MAX_REPETITIONS, MIN_REPETITIONS) and ask.left_s > 0
    ):
        played.append(_time_quadruple(ask, loop))
    times = np.array(played)  # [repetitions, 4]
    with_, without = times[:, [1, 2]], times[:, [0, 3]]
    yield figure_row(
        speedup(without, with_),
        what=f"{pair.name}: sampler on over off",
        unit="time/time",
        at_most=MAX_COST_RATIO,
        note="" if ask.cuda else f"without NVML; {NEEDS_CUDA}",
    )
    yield from _reading_rows(ask)


def _time_quadruple(ask: Ask, loop: Repeated) -> list[float]:
    """Return nanoseconds per play without, with, with and without the sampler."""
    arms = []
    for sampled in (False, True, True, False):
        sampler = Sampler(ask.device, time.perf_counter_ns)
        if sampled:
            sampler.start()
        walls: list[int] = []
        began = time.monotonic()
        while not walls or (not ask.reduced and time.monotonic() - began < MIN_ARM_S):
            walls.append(loop.play("evidence", seed=len(walls)).wall_ns)
        sampler.stop()
        arms.append(float(np.mean(walls)))
    return arms


def _reading_rows(ask: Ask) -> Iterator[Row]:
    sampler = Sampler(ask.device, time.perf_counter_ns)
    took, last = [], sampler.sample()
    for _ in range(ask.few(200, 5)):
        began = time.perf_counter()
        last = sampler.sample()
        took.append(time.perf_counter() - began)
    missing = [name for name in COUNTERS if getattr(last, name) is None]
    why = sampler.absent or (f"without {', '.join(missing)}" if missing else "")
    yield Row(
        what="a reading, median",
        figure=float(np.median(took)) * 1e3,
        unit="ms/reading",
        at_most=SLOW_READING_S * 1e3,
        note=sampler.absent or "",
    )
    yield Row(
        what="counters read from NVML",
        figure=None if sampler.absent else float(len(COUNTERS) - len(missing)),
        unit=f"of {len(COUNTERS)}",
        at_least=float(len(COUNTERS)),
        note=why,
    )
    used, held = last.memory_used_bytes, last.reserved_bytes
    yield Row(
        what="device memory by NVML over the allocator's",
        figure=used / held if used and held else None,
        unit="used/reserved",
        at_least=1.0,
        note="" if ask.cuda else NEEDS_CUDA,
    )
