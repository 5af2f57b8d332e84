"""Measure the diagnosis's false alarms over repeated looks, the smallest loss it finds, its speed.

python benchmarks/detection.py alarms [--runs 1000] [--jobs 2]
python benchmarks/detection.py limits [--runs 10] [--jobs 2]
python benchmarks/detection.py speed [--runs 9]

`alarms`: healthy synthetic runs, diagnosed every 20 rounds while they grow, as the dashboard does.
A run counts if a bug is found at any look. `limits`: the smallest loss of acceptance that is found
in at least nine of ten runs, at 1k, 4k and 20k evaluated draft indices. The loss comes from a
biased accept step, or from a draft whose state is evenly wrong by a little: small errors are found
and called rounding (state-rounded), large errors a bug. `speed`: `specprof diagnose` as a whole
process on a capture of 20k rounds.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing import Pool
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from stamp import save, stamp

from specprof.analysis.columns import Columns
from specprof.analysis.evidence import FAMILY_ERROR, Evidence
from specprof.analysis.stats import clopper_pearson
from specprof.backends import synthetic
from specprof.backends._tables import Place, Tables
from specprof.backends.synthetic import Synthetic
from specprof.capture_writer import CaptureWriter
from specprof.diagnosis import diagnose
from specprof.recorder import record
from specprof.records import Event
from specprof.settings import RunSpec, Settings

ROUNDS_BETWEEN_LOOKS = 20
PLACES = (1_000, 4_000, 20_000)
FOUND_SHARE = 0.9
HEALTHY_SETTINGS = (
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 0.0},
    {"temperature": 1.0, "shape": "static-tree"},
    {"temperature": 1.0, "depth": 8},
)
"""Settings of the healthy runs, in turn."""
STRENGTHS = {
    "too-strict": (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02),
    "too-strict where open": (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3),
    "draft-state": (0.001, 0.003, 0.01, 0.1, 1.0),
}
"""Share of the owed acceptance that is lost, at all drafts or only at those owed less than 1; for
`draft-state` the standard deviation of noise on the draft's logits."""


class Open(Tables):
    """Always accepts drafts that must be accepted, so that no single outcome is proof."""

    def stands(self, place: Place, token: int) -> bool:
        """Return whether a drafted token is accepted."""
        strict = self.strict
        self.strict = 1.0 if place.target[token] >= place.draft[token] else strict
        stood = super().stands(place, token)
        self.strict = strict
        return stood


def make_events(
    settings: Settings, fault: str = "none", strength: float | None = None
) -> list[Event]:
    """Return one synthetic run's events."""
    spec = RunSpec(id="x", profile="detection", settings=settings)
    name, _, open_ = fault.partition(" where ")
    with patch.object(synthetic, "Tables", Open if open_ else Tables):
        return list(Synthetic(name, strength=strength).run(spec, []))


def find_bugs(columns: Columns) -> list[str]:
    """Return the rules that find a bug in the rounds so far."""
    made = diagnose(Evidence(columns, live=True))
    return [each.rule for each in made.found if each.family == "bug"]


def judge(columns: Columns) -> tuple[bool, bool]:
    """Return whether the defect is found, as a bug or as rounding, and whether as a bug."""
    found = {each.rule: each.family for each in diagnose(Evidence(columns)).found}
    bug = "bug" in found.values()
    return bug or "state-rounded" in found, bug


def count_alarms(seed: int) -> list[str]:
    """Return the rules that accuse a healthy run at any look."""
    settings = Settings(
        backend="synthetic",
        seed=seed,
        context=2_000,
        stops=4,
        max_new_tokens=160,
        **HEALTHY_SETTINGS[seed % len(HEALTHY_SETTINGS)],  # type: ignore[arg-type]
    )
    columns = Columns()
    columns.feed(make_events(settings))
    looks = range(
        ROUNDS_BETWEEN_LOOKS, len(columns.rounds) + ROUNDS_BETWEEN_LOOKS, ROUNDS_BETWEEN_LOOKS
    )
    return sorted({rule for rounds in looks for rule in find_bugs(columns.first(rounds))})


def measure_alarms(runs: int, jobs: int) -> dict[str, object]:
    """Count the healthy runs that are accused of a bug at any look."""
    with Pool(jobs) as pool:
        judged = pool.map(count_alarms, range(runs), chunksize=10)
    accused = {seed: found for seed, found in enumerate(judged) if found}
    rate = clopper_pearson(len(accused), runs)
    return {
        "runs": runs,
        "rounds_between_looks": ROUNDS_BETWEEN_LOOKS,
        "accused": accused,
        "accused_per_run": rate.value,
        "interval_95": [rate.low, rate.high],
        "stated_family_error": FAMILY_ERROR,
    }


def lost_acceptance(columns: Columns, fault: str, strength: float) -> float:
    """Return the mean acceptance that a fault costs, per reached token."""
    places = columns.places
    if fault == "draft-state":
        return float(columns.rechecked.overlap.mean() - places.overlap.mean())
    hit = places.accept_owed < 1 if "open" in fault else places.accept_owed <= 1
    return strength * float((places.accept_owed * hit).mean())


def find_limit(fault: str, places: int, runs: int) -> Iterator[dict[str, object]]:
    """Yield the counts at each strength, the weakest first, until nine of ten runs show a bug."""
    for strength in STRENGTHS[fault]:
        found, accused, deficits = 0, 0, []
        for seed in range(runs):
            settings = Settings(
                backend="synthetic",
                seed=seed,
                temperature=1.0,
                context=1_000,
                stops=1,
                max_new_tokens=int(places * 1.05),
                recheck_context=1_000,
            )
            columns = Columns()
            columns.feed(make_events(settings, fault, strength))
            seen, bug = judge(columns)
            found, accused = found + seen, accused + bug
            deficits.append(lost_acceptance(columns, fault, strength))
        yield {
            "strength": strength,
            "acceptance_lost_per_reached_token": float(np.mean(deficits)),
            "places": len(columns.places),
            "found_per_run": found / runs,
            "called_a_bug_per_run": accused / runs,
        }
        if accused >= FOUND_SHARE * runs:
            return


def list_limit(fault: str, places: int, runs: int) -> list[dict[str, object]]:
    """Return the rows of `find_limit`; a list can be returned from another process."""
    return list(find_limit(fault, places, runs))


def measure_limits(runs: int, jobs: int) -> dict[str, object]:
    """Find each fault's limit at each number of draft indices, the longest runs first."""
    asked = [(fault, places, runs) for places in reversed(PLACES) for fault in STRENGTHS]
    with Pool(jobs) as pool:
        rows = pool.starmap(list_limit, asked, chunksize=1)
    made: dict[str, dict[str, object]] = {fault: {} for fault in STRENGTHS}
    for (fault, places, _), each in zip(asked, rows, strict=True):
        made[fault][str(places)] = each
    return dict(made)


def children_s() -> float:
    """Return the processor time that ended child processes took, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_speed(runs: int) -> dict[str, object]:
    """Time `specprof diagnose` on a long capture, from start to end of the process."""
    settings = Settings(
        backend="synthetic", temperature=1.0, context=20_000, stops=40, max_new_tokens=1_200
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.jsonl"
        with CaptureWriter(path) as writer:
            end = record(Synthetic(), RunSpec(id="x", profile="speed", settings=settings), writer,
                         command=[])  # fmt: skip
        command = [sys.executable, "-m", "specprof", "diagnose", str(path)]
        walls, spent = [], [children_s()]
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
            walls.append(time.perf_counter() - started)
            spent.append(children_s())
        cpu = [after - before for before, after in pairwise(spent)]
        return {
            "rounds": end.rounds,
            "bytes": path.stat().st_size,
            "wall_s": walls,
            "median_wall_s": statistics.median(walls),
            "cpu_s": cpu,
            "median_cpu_s": statistics.median(cpu),
        }


def main() -> None:
    """Write results/detection-WHAT.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("alarms", "limits", "speed"))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--jobs", type=int, default=1, help="alarms, limits: processes at once")
    asked = parser.parse_args()
    match asked.what:
        case "alarms":
            made = measure_alarms(asked.runs or 1_000, asked.jobs)
        case "limits":
            made = measure_limits(asked.runs or 10, asked.jobs)
        case _:
            made = measure_speed(asked.runs or 9)
    print(save(f"detection-{asked.what}", stamp(torch.device("cpu")) | made), made)


if __name__ == "__main__":
    main()
