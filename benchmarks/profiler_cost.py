"""The profiler's own cost: the same decoding with every instrument on, and with none.

    python benchmarks/profiler_cost.py [--quadruples 100] [--tokens 64]

Both arms decode the same tokens from the same prefix with the pocket family, in one process, in
the order on-off-off-on, so that drift cancels. On: spans, evidence, the capture written, the
sampler thread running. Off: the bare loop. The recheck is left out of both: it runs between
bursts, outside what is timed, and is a diagnosis, not an instrument.
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
from stamp import save, stamp

from specprof.backends.native import Native
from specprof.capture import CaptureWriter
from specprof.engine.sampler import Sampler
from specprof.engine.stopwatch import HostClock, Lap, Stopwatch
from specprof.records import RunSpec, Settings

LEVELS = ("rounds", "evidence")


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
        self.engine = self.native.engine
        self.bare = replace(self.engine, watch=Silent())
        self.folder = folder
        self.prompt = self.native.tokens[: settings.context]
        self.engine.target.prefill(self.prompt[:-1])
        self.engine.drafter.prefill(self.prompt)

    def off(self) -> float:
        """Decode bare; return the seconds."""
        committed = self._start()
        started = time.perf_counter()
        for _ in self._rounds(self.bare, committed):
            pass
        return self._end(started, committed)

    def on(self, detail: str) -> float:
        """Decode with every instrument of a detail level; return the seconds."""
        committed = self._start()
        scribe = self.native.scribe
        scribe.detail = detail  # type: ignore[assignment]  # one of Detail's words
        sampler = Sampler(self.native.device, time.perf_counter_ns)
        sampler.start()
        with CaptureWriter(self.folder / "cost.jsonl", overwrite=True) as writer:
            started = time.perf_counter()
            for played in self._rounds(self.engine, committed):
                for one in scribe.take(played, 0, self.settings.depth):
                    writer.write(one)
            seconds = self._end(started, committed)
        sampler.stop()
        return seconds

    def _start(self) -> list[int]:
        self.engine.generator.manual_seed(0)
        return list(self.prompt)

    def _rounds(self, engine, committed: list[int]):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return engine.rounds(
            committed,
            depth=self.settings.depth,
            new_tokens=self.settings.max_new_tokens,
            stop=frozenset(),
        )

    def _end(self, started: float, committed: list[int]) -> float:
        seconds = time.perf_counter() - started
        self.decoded = committed
        self.native._roll_back_to(len(self.prompt))  # noqa: SLF001 - the backend's own way back
        return seconds


def cost(on: Callable[[], float], off: Callable[[], float], pairs: int) -> dict[str, object]:
    """Return on/off as a ratio: on-off-off-on, the median with its bootstrap interval.

    The median, because another process stealing a core is no cost of ours; the mean is given too.
    """
    ratios = []
    for _ in range(pairs):
        first, second, third, fourth = on(), off(), off(), on()
        ratios.append((first + fourth) / (second + third))
    values = np.array(ratios)
    drawn = np.random.default_rng(0).choice(values, (4000, pairs))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return {
        "on_over_off_median": round(float(np.median(values)), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
        "on_over_off_mean": round(float(values.mean()), 4),
        "quadruples": pairs,
    }


def main() -> None:
    """Measure each detail level at temperature 0 and 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quadruples", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--context", type=int, default=256)
    asked = parser.parse_args()
    result: dict[str, object] = {"stamp": stamp(torch.device("cpu")), "tokens": asked.tokens}
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
