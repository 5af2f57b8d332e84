"""Measure the profiler's own cost: the same decoding with every instrument on, and with none.

    python benchmarks/profiler_cost.py [--quadruples 150] [--tokens 24] [--context 256]

Both arms decode the same tokens from the same prefix with the pocket family, in one process, in
the order on-off-off-on, a tenth of a second each, so that drift cancels. On: all that a level of
detail records, and the capture written. Off: the bare loop. Both paths are measured, because a flat
round is shorter, so that the instruments are a larger share of it. No graph is recorded inside a
timed part. Both arms replay graphs, except at the level `module`, which looks into forwards and so
must run them. The sampler thread, two readings a second, is measured by itself and is not in the
other figures. Neither arm has the recheck: it runs between bursts, outside the timed part, and is
a diagnosis and no instrument. Besides wall time, the process's own processor time is compared,
which other programs on the machine don't add to.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from stamp import save, stamp

from specprof.analysis.paired_timing import median
from specprof.bench.repeated import Repeated
from specprof.engine.instruments.bout import Bout
from specprof.engine.instruments.counters import SAMPLE_EVERY_S, Sampler
from specprof.settings import Detail, Settings

LEVELS: tuple[Detail, ...] = get_args(Detail)
PATHS = ("modules", "flat")
Times = NDArray[np.float64]
"""Wall and processor nanoseconds."""


def time_play(play: Callable[[], Bout]) -> Times:
    """Return the time of one play."""
    bout = play()
    return np.array([bout.wall_ns, bout.process_ns], np.float64)


def compare_cost(
    on: Callable[[], Bout], off: Callable[[], Bout], quadruples: int
) -> dict[str, object]:
    """Return on/off from plays on-off-off-on: the median of the ratios, and its interval.

    It is the median because a burst of another program's work is no cost of ours. The interval is
    None with too few quadruples.
    """
    ratios = np.empty((quadruples, 2))
    for number in range(quadruples):
        first, second, third, fourth = (time_play(play) for play in (on, off, off, on))
        ratios[number] = (first + fourth) / (second + third)
    found = {"wall": median(ratios[:, 0]), "processor": median(ratios[:, 1])}
    return {
        f"{name}_on_over_off": {
            "median": round(each.value, 4),
            "interval_95": [round(one, 4) for one in (each.low, each.high) if one is not None]
            or None,
        }
        for name, each in found.items()
        if each is not None
    } | {"quadruples": quadruples}


def measure_sampler_share(device: torch.device, readings: int = 400) -> float:
    """Return the share of one core that the sampler's readings take."""
    sampler = Sampler(device, time.perf_counter_ns)
    started = time.process_time()
    for _ in range(readings):
        sampler.sample()
    return (time.process_time() - started) / readings / SAMPLE_EVERY_S


def main() -> None:
    """Measure each detail level by each path, at temperature 0 and 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quadruples", type=int, default=150)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--context", type=int, default=256)
    asked = parser.parse_args()
    cpu = torch.device("cpu")
    result: dict[str, object] = {"stamp": stamp(cpu), "tokens": asked.tokens}
    result["sampler_share_of_a_core"] = round(measure_sampler_share(cpu), 6)
    with tempfile.TemporaryDirectory() as folder:
        for path in PATHS:
            for temperature in (0.0, 1.0):
                settings = Settings(
                    device="cpu",
                    workload="generate",
                    context=asked.context,
                    max_new_tokens=asked.tokens,
                    temperature=temperature,
                    path=path,
                    plain_steps=0,
                    threads=1,
                )
                loop = Repeated(settings, Path(folder))
                off = partial(loop.play, "off")
                for level in LEVELS[1:]:
                    name = f"{level}, path {path}, temperature {temperature:g}"
                    result[name] = compare_cost(partial(loop.play, level), off, asked.quadruples)
                    print(name, result[name], flush=True)
    print(save("profiler_cost", result))


if __name__ == "__main__":
    main()
