"""Kill runs at random moments with SIGKILL, and check what they leave.

    python benchmarks/kills.py [--kills 100] [--seed 0] [--jobs 2]

Three kinds of runs of the pocket family are killed with all their processes: one run, a sweep and a
drill, `--kills` in all. Besides, there are runs with a dashboard, of which only the dashboard or
only the recorder is killed, a tenth as often each. Every second moment is drawn evenly from the
time of an undisturbed run, and counts from its start, which is mostly loading. The other moments
are drawn from the time that it records, and count from the first line of the capture.

Right is: all whole lines of the file are read, at most one line is torn, and the capture is
INCOMPLETE unless it had ended. `diagnose` judges it, or says in two lines that it can't (exit code
5). A run of the same name works at once if nothing was recorded, and with --force otherwise.
`run --resume` completes a sweep, and repeats no complete run. A recorder without its dashboard ends
by itself and closes its capture. A dashboard without its recorder can be left. There is no
traceback, no process left, and no file but those named in `trials.KEPT`.

Writes benchmarks/results/kills.json and .txt; exit code 1 if something was wrong.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from killed.trials import KINDS, Outcome, Trial, measure_durations_s, play
from result_folder import result_folder

RESULTS = Path(__file__).parent / "results"
SINGLE_PROCESS_KINDS = {"dashboard alone", "recorder alone"}
"""Kinds of which only one process is killed."""
KILLS_PER_SINGLE_PROCESS_KILL = 10
"""Kills of whole runs for each kill of a single process."""


def main(given: Sequence[str] | None = None) -> int:
    """Play the trials, print and write their outcomes; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--reduced", action="store_true", help="made-up rounds, without a model")
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    outcomes = list(play_trials(asked))
    text = "\n".join(table(outcomes)) + "\n"
    print(text, end="")
    wrong = [each for each in outcomes if each.problems]
    for each in wrong:
        print(f"\n{each.kind}, trial {each.number}, at {format_moment(each)}:")
        print("\n".join(f"  {problem}" for problem in each.problems))
    if not (asked.reduced and asked.into == RESULTS):
        write(outcomes, asked, text)
    return 1 if wrong else 0


def play_trials(asked: argparse.Namespace) -> Iterator[Outcome]:
    """Play all trials, several at once; yield their outcomes in order."""
    kinds = {
        name: kills
        for name, kills in count_kills(asked.kills).items()
        if not asked.kind or name in asked.kind
    }
    with tempfile.TemporaryDirectory(prefix="specprof-kills-") as folder:
        rooms, drawn = Path(folder), random.Random(asked.seed)
        lasts = {
            name: measure_durations_s(name, rooms / name.replace(" ", "-"), made_up=asked.reduced)
            for name in kinds
        }
        trials = [
            Trial(
                kind=name,
                number=number,
                recording=bool(number % 2),
                at_s=drawn.uniform(0, lasts[name][number % 2]),
                room=rooms / f"{name.replace(' ', '-')}-{number}",
                made_up=asked.reduced,
            )
            for name, kills in kinds.items()
            for number in range(kills)
        ]
        with ThreadPoolExecutor(asked.jobs) as pool:
            for done, outcome in enumerate(pool.map(play, trials), start=1):
                wrong = f": {outcome.problems[0]}" if outcome.problems else ""
                sys.stderr.write(
                    f"{done} of {len(trials)}: {outcome.kind} at {format_moment(outcome)}, "
                    f"{outcome.left}{wrong}\n"
                )
                yield outcome


def count_kills(kills: int) -> dict[str, int]:
    """Return the number of kills of each kind."""
    whole = [name for name in KINDS if name not in SINGLE_PROCESS_KINDS]
    shares = {name: len(range(place, kills, len(whole))) for place, name in enumerate(whole)}
    return shares | {
        name: -(-kills // KILLS_PER_SINGLE_PROCESS_KILL)
        for name in KINDS
        if name in SINGLE_PROCESS_KINDS
    }


def format_moment(outcome: Outcome) -> str:
    """Return the moment of the kill, in words."""
    return f"{outcome.at_s:.3f} s {'of recording' if outcome.recording else 'of the run'}"


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the counts as lines, two for each kind."""
    lines = []
    for kind, recording in dict.fromkeys((each.kind, each.recording) for each in outcomes):
        alike = [each for each in outcomes if (each.kind, each.recording) == (kind, recording)]
        when = "while recording" if recording else "at any moment"
        left = Counter(each.left for each in alike)
        states = ", ".join(f"{count} {what}" for what, count in left.most_common())
        torn, wrong = sum(each.torn for each in alike), sum(bool(each.problems) for each in alike)
        counts = f"{len(alike)} kills, {wrong} wrong; left {states}; {torn} torn lines"
        lines.append(f"{kind}, {when}: {counts}")
    return lines


def write(outcomes: Sequence[Outcome], asked: argparse.Namespace, text: str) -> None:
    """Write the counts as text, and all outcomes as JSON with the stamp."""
    import torch
    from stamp import stamp

    whole = {
        "stamp": stamp(torch.device("cpu")),
        "seed": asked.seed,
        "kills": len(outcomes),
        "wrong": sum(bool(each.problems) for each in outcomes),
        "trials": msgspec.to_builtins(outcomes),
    }
    (asked.into / "kills.txt").write_text(text, encoding="utf-8")
    (asked.into / "kills.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
