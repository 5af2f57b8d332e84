"""Measure how often a sound recorded loop is accused of a bug at any look while it grows.

    python benchmarks/recorded_alarms.py [--seeds 2] [--minutes 60] [--jobs 1] [--without NAME]

The loops are those of sound_loops.py: lossless, of many kinds, over the pocket family, at each
temperature at which somebody would run them. A capture is diagnosed after every ten rounds, as the
dashboard does while a loop runs, and at its end. A run counts if a bug is found at any look. The
tests that the rules use may be read at any time, so the rate should stay below the stated error.

Writes benchmarks/results/recorded-alarms.json; exit code 1 if a run was accused.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

import msgspec
import torch
from sound_loops import Trial, list_trials, sound_loops
from stamp import save, stamp

from specprof.analysis.columns import Columns
from specprof.analysis.evidence import FAMILY_ERROR, Evidence
from specprof.analysis.recorded import read_columns
from specprof.analysis.stats import clopper_pearson
from specprof.diagnosis import diagnose

ROUNDS_BETWEEN_LOOKS = 10


class Watched(msgspec.Struct):
    """One loop, and what its diagnosis said at any look."""

    kind: str
    temperature: float
    looping: bool
    seed: int
    rounds: int
    looks: int
    accused: list[str]
    """Each rule that found a bug at any look."""


def main(given: Sequence[str] | None = None) -> int:
    """Play and watch all trials; print and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=1, help="loops at once")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no loop after these")
    known = list(sound_loops())
    parser.add_argument("--only", action="append", choices=known, help="only this")
    parser.add_argument("--without", action="append", choices=known, default=[], help="not this")
    asked = parser.parse_args(given)
    kinds = [each for each in asked.only or known if each not in asked.without]
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    started, trials = time.monotonic(), list(list_watched(kinds, seeds))
    watched = []
    for one in watch_trials(trials, asked.jobs):
        watched.append(one)
        if time.monotonic() - started > 60 * asked.minutes:
            break
    found = {"left_out": asked.without, "wall_s": round(time.monotonic() - started)}
    found |= {"asked": len(trials)} | sum_up(watched)
    path = save("recorded-alarms", stamp(torch.device("cpu")) | found)
    print(path, {name: each for name, each in found.items() if name != "loops"})
    return 1 if found["accused"] else 0


def list_watched(kinds: Sequence[str], seeds: Sequence[int]) -> Iterator[Trial]:
    """Yield every loop to be watched, all kinds by one seed before the next seed.

    Looping prompts are left to sound_loops.py.
    """
    for seed in seeds:
        yield from (each for each in list_trials(kinds, [seed]) if not each.looping)


def watch_trials(trials: Sequence[Trial], jobs: int) -> Iterator[Watched]:
    """Watch trials in processes of one thread each; yield what was found, in order."""
    with get_context("spawn").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        for one in pool.imap(watch, trials):
            print(*msgspec.structs.astuple(one), file=sys.stderr)
            yield one


def watch(trial: Trial) -> Watched:
    """Record a loop, and diagnose its capture as it was after every ten rounds, and whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.jsonl"
        sound_loops()[trial.kind](trial.temperature, trial.seed, looping=trial.looping).play(path)
        columns = read_columns(path).columns
    rounds = len(columns.rounds)
    looks = [*range(ROUNDS_BETWEEN_LOOKS, rounds, ROUNDS_BETWEEN_LOOKS), rounds]
    accused = {rule for look in looks for rule in find_bugs(columns.first(look))}
    return Watched(*trial, rounds=rounds, looks=len(looks), accused=sorted(accused))


def find_bugs(columns: Columns) -> list[str]:
    """Return the rules that find a bug in the rounds so far."""
    made = diagnose(Evidence(columns, live=columns.end is None))
    return [each.rule for each in made.found if each.family == "bug"]


def sum_up(watched: Sequence[Watched]) -> dict[str, object]:
    """Return the share of accused runs with its exact interval, and every run."""
    accused = [each for each in watched if each.accused]
    rate = clopper_pearson(len(accused), len(watched))
    return {
        "runs": len(watched),
        "kinds": len({each.kind for each in watched}),
        "rounds": sum(each.rounds for each in watched),
        "looks": sum(each.looks for each in watched),
        "rounds_between_looks": ROUNDS_BETWEEN_LOOKS,
        "accused": [msgspec.to_builtins(each) for each in accused],
        "accused_per_run": rate.value,
        "interval_95": [rate.low, rate.high],
        "stated_family_error": FAMILY_ERROR,
        "loops": msgspec.to_builtins(watched),
    }


if __name__ == "__main__":
    sys.exit(main())
