"""Kills runs at random moments with SIGKILL, and looks at what they leave.

    python benchmarks/kills.py [--kills 100] [--seed 0] [--jobs 2]

Three kinds of runs of the pocket family, killed with all their processes: one run, a sweep and a
drill, `--kills` in all. Beside them runs with a dashboard, of which only the dashboard or only the
recorder is killed, a tenth as often each. Of each kind every second moment is drawn evenly from the
time one undisturbed run takes, and counts from the start: most of that is loading. The others are
drawn from the time it records, and count from the first line of the capture.

Right is: what the file holds as whole lines is read, at most one line is torn, and the capture is
INCOMPLETE unless it had ended; `diagnose` judges it, or says in two lines that it can't (exit code
5); a run of the same name works at once where nothing was recorded, and with --force elsewhere;
`run --resume` completes a sweep, and leaves alone what was complete; a recorder without its
dashboard ends by itself and closes its capture, a dashboard without its recorder can be left; there
is no traceback, no process left, and no file but those named in `trials.KEPT`.

Writes benchmarks/results/kills.json and .txt; exit code 1 where something was wrong.
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
from killed.trials import KINDS, Outcome, Trial, durations_s, play
from result_folder import result_folder

RESULTS = Path(__file__).parent / "results"
ALONE = {"dashboard alone", "recorder alone"}
"""Kinds of which one process is killed and not all."""
BESIDE = 10
"""Kills of the others for each of these."""


def main(given: Sequence[str] | None = None) -> int:
    """Play the trials, tell what came of them and write it down; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--reduced", action="store_true", help="made-up rounds, without a model")
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    outcomes = list(played(asked))
    told = "\n".join(table(outcomes)) + "\n"
    print(told, end="")
    wrong = [each for each in outcomes if each.problems]
    for each in wrong:
        print(f"\n{each.kind}, trial {each.number}, at {moment(each)}:")
        print("\n".join(f"  {problem}" for problem in each.problems))
    if not (asked.reduced and asked.into == RESULTS):
        write(outcomes, asked, told)
    return 1 if wrong else 0


def played(asked: argparse.Namespace) -> Iterator[Outcome]:
    """Play every trial, several at once; yield what came of each, in their order."""
    kinds = {
        name: kills
        for name, kills in counted(asked.kills).items()
        if not asked.kind or name in asked.kind
    }
    with tempfile.TemporaryDirectory(prefix="specprof-kills-") as folder:
        rooms, drawn = Path(folder), random.Random(asked.seed)
        lasts = {
            name: durations_s(name, rooms / name.replace(" ", "-"), made_up=asked.reduced)
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
                    f"{done} of {len(trials)}: {outcome.kind} at {moment(outcome)}, "
                    f"{outcome.left}{wrong}\n"
                )
                yield outcome


def counted(kills: int) -> dict[str, int]:
    """Return how often each kind is killed."""
    whole = [name for name in KINDS if name not in ALONE]
    shares = {name: len(range(place, kills, len(whole))) for place, name in enumerate(whole)}
    return shares | {name: -(-kills // BESIDE) for name in KINDS if name in ALONE}


def moment(outcome: Outcome) -> str:
    """Return when it was killed, in words."""
    return f"{outcome.at_s:.3f} s {'of recording' if outcome.recording else 'of the run'}"


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the counts as lines: two rows a kind, and what the kills left."""
    lines = []
    for kind, recording in dict.fromkeys((each.kind, each.recording) for each in outcomes):
        alike = [each for each in outcomes if (each.kind, each.recording) == (kind, recording)]
        when = "while recording" if recording else "at any moment"
        left = Counter(each.left for each in alike)
        told = ", ".join(f"{count} {what}" for what, count in left.most_common())
        torn, wrong = sum(each.torn for each in alike), sum(bool(each.problems) for each in alike)
        counts = f"{len(alike)} kills, {wrong} wrong; left {told}; {torn} torn lines"
        lines.append(f"{kind}, {when}: {counts}")
    return lines


def write(outcomes: Sequence[Outcome], asked: argparse.Namespace, told: str) -> None:
    """Write everything down, with where it comes from."""
    import torch
    from stamp import stamp

    whole = {
        "stamp": stamp(torch.device("cpu")),
        "seed": asked.seed,
        "kills": len(outcomes),
        "wrong": sum(bool(each.problems) for each in outcomes),
        "trials": msgspec.to_builtins(outcomes),
    }
    (asked.into / "kills.txt").write_text(told, encoding="utf-8")
    (asked.into / "kills.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
