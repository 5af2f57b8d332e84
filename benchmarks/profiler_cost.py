"""The profiler's own cost: the same decoding with every instrument on, and with none.

    python benchmarks/profiler_cost.py [--quadruples 150] [--tokens 24]

Both arms decode the same tokens from the same prefix with the pocket family, in one process, in
the order on-off-off-on, a tenth of a second each, so that drift cancels. On: spans, evidence and
the capture written. Off: the bare loop. What the sampler thread costs, two readings a second, is
measured by itself and added. The recheck is in neither: it runs between bursts, outside what is
timed, and is a diagnosis, not an instrument. Besides wall time, the process's own processor time is
compared: a neighbour on the machine can't add to that.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stamp import save, stamp

from specprof.backends.native import Native
from specprof.capture import CaptureWriter
from specprof.engine.sampler import EVERY_S, Sampler
from specprof.engine.stopwatch import HostClock, Lap, Stopwatch
from specprof.settings import RunSpec, Settings

LEVELS = ("evidence", "rounds")


Times = NDArray[np.float64]
"""Wall seconds and processor seconds."""


class Silent(Stopwatch):
    """A stopwatch that reads no clock: the loop as it would be without a profiler."""

    def __init__(self) -> None:
        super().__init__(HostClock(lambda: 0))
        self._nothing = nullcontext()

    def begin(self) -> None:
        """Start nothing."""

    def span(self, name: str) -> nullcontext[None]:  # type: ignore[override]  # noqa: ARG002
        """Time nothing."""
        return self._nothing

    def finish(self) -> Lap:
        """Return an empty lap."""
        return self._lap


class Bench:
    """One wired engine, decoded over and over from the same place."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.spec = RunSpec(id="cost", profile="cost", settings=settings)
        self.native = Native()
        next(iter(self.native.run(self.spec, [])))  # loads, warms up, measures the threads
        self.wired = self.native.wired
        self.engine = self.wired.engine
        self.bare = replace(self.engine, watch=Silent())
        self.folder = folder
        self.prompt = self.wired.tokens[: settings.context]
        self.engine.target.prefill(self.prompt[:-1])
        self.engine.drafter.prefill(self.prompt)

    def off(self) -> Times:
        """Decode bare."""
        committed = self._start()
        started = _now()
        for _ in self._rounds(self.bare, committed):
            pass
        return self._end(started)

    def on(self, detail: str) -> Times:
        """Decode with every instrument of a detail level."""
        committed = self._start()
        (scribe,) = self.native.walk.scribes
        scribe.detail = detail  # type: ignore[assignment]  # one of Detail's words
        with CaptureWriter(self.folder / "cost.jsonl", overwrite=True) as writer:
            started = _now()
            for played in self._rounds(self.engine, committed):
                for one in scribe.take(played, 0):
                    writer.write(one)
            return self._end(started)

    def _start(self) -> list[int]:
        self.engine.generator.manual_seed(0)
        return list(self.prompt)

    def _rounds(self, engine, committed: list[int]):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return engine.rounds(committed, new_tokens=self.settings.max_new_tokens, stop=frozenset())

    def _end(self, started: Times) -> Times:
        ended = _now()
        self.wired.roll_back_to(len(self.prompt))
        return ended - started


def _now() -> Times:
    return np.array([time.perf_counter(), time.process_time()])


def cost(on: Callable[[], Times], off: Callable[[], Times], quadruples: int) -> dict[str, object]:
    """Return on/off: on-off-off-on, the median of the ratios with its bootstrap interval.

    The median, because a burst of a neighbour's work is no cost of ours.
    """
    ratios = []
    for _ in range(quadruples):
        first, second, third, fourth = on(), off(), off(), on()
        ratios.append((first + fourth) / (second + third))
    drawn = np.random.default_rng(0).choice(np.array(ratios), (2000, quadruples))  # [., ., 2]
    middles = np.median(drawn, axis=1)
    return {
        f"{name}_on_over_off": {
            "median": round(float(np.median(np.array(ratios)[:, column])), 4),
            "interval_95": np.percentile(middles[:, column], [2.5, 97.5]).round(4).tolist(),
        }
        for column, name in enumerate(("wall", "processor"))
    } | {"quadruples": quadruples}


def sampler_share(device: torch.device, readings: int = 400) -> float:
    """Return the share of one core that the sampler's readings take."""
    sampler = Sampler(device, time.perf_counter_ns)
    started = time.process_time()
    for _ in range(readings):
        sampler.sample()
    return (time.process_time() - started) / readings / EVERY_S


def main() -> None:
    """Measure each detail level at temperature 0 and 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quadruples", type=int, default=150)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--context", type=int, default=256)
    asked = parser.parse_args()
    cpu = torch.device("cpu")
    result: dict[str, object] = {"stamp": stamp(cpu), "tokens": asked.tokens}
    result["sampler_share_of_a_core"] = round(sampler_share(cpu), 6)
    with tempfile.TemporaryDirectory() as folder:
        for temperature in (0.0, 1.0):
            settings = Settings(
                device="cpu",
                workload="generate",
                context=asked.context,
                max_new_tokens=asked.tokens,
                temperature=temperature,
                threads=1,
            )
            bench = Bench(settings, Path(folder))
            for level in LEVELS:
                name = f"{level}, temperature {temperature:g}"
                result[name] = cost(lambda: bench.on(level), bench.off, asked.quadruples)  # noqa: B023
                print(name, result[name], flush=True)
    print(save("profiler_cost", result))


if __name__ == "__main__":
    main()
