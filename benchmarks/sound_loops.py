"""Record sound loops of many kinds, diagnose each, and count the accusations.

    python benchmarks/sound_loops.py [--seeds 3] [--first-seed 0] [--jobs 2] [--only NAME]

The loops are such as people write over Hugging Face models; each kind differs from the plain loop
in one thing (tests/support/recorded_loops). All are lossless, so whatever bug is found is a false
accusation. Each kind is played over the pocket family at temperature 0, 0.7 and 1, where somebody
would run it so, and by several seeds. At temperature 0 it is played on looping prompts as well.

Writes benchmarks/results/sound-loops.json and .txt; exit code 1 if a loop was accused or ended.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from result_folder import result_folder
from stamp import stamp

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support")]

from recorded_loops.kinds import sound_loops  # noqa: E402 - found where the line above says
from specprof.analysis.evidence import Evidence  # noqa: E402
from specprof.analysis.recorded import read_columns  # noqa: E402
from specprof.diagnosis import diagnose  # noqa: E402

RESULTS = Path(__file__).parent / "results"


class Trial(NamedTuple):
    """One recording."""

    kind: str
    temperature: float
    looping: bool
    seed: int


class Outcome(msgspec.Struct):
    """What the diagnosis of it found."""

    kind: str
    temperature: float
    looping: bool
    seed: int
    rounds: int = 0
    bugs: list[tuple[str, str]] = []
    """Rule and message of each bug that was found, the leading one first."""
    ended: str | None = None
    """The error that ended the loop inside the recorder; None if none did."""


def main(given: Sequence[str] | None = None) -> int:
    """Play all trials; print and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="loops at once")
    parser.add_argument("--only", action="append", choices=list(sound_loops()), help="only this")
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    outcomes = list(
        play_trials(list(list_trials(asked.only or list(sound_loops()), seeds)), asked.jobs)
    )
    text = "\n".join(table(outcomes)) + "\n"
    print(text, end="")
    if asked.only is None or asked.into != RESULTS:
        write(outcomes, text, asked.into)
    return 1 if any(each.bugs or each.ended for each in outcomes) else 0


def list_trials(kinds: Sequence[str], seeds: Sequence[int]) -> Iterator[Trial]:
    """Yield every recording to be made."""
    for kind in kinds:
        for temperature in sound_loops()[kind].temperatures:
            for looping in (False, True) if temperature == 0 else (False,):
                yield from (Trial(kind, temperature, looping, seed) for seed in seeds)


def play_trials(trials: Sequence[Trial], jobs: int) -> Iterator[Outcome]:
    """Play trials in processes of one thread each; yield their outcomes in order."""
    with get_context("spawn").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        for outcome in pool.imap(play, trials):
            print(*msgspec.structs.astuple(outcome), file=sys.stderr)
            yield outcome


def play(trial: Trial) -> Outcome:
    """Record one loop and diagnose it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.jsonl"
        loop = sound_loops()[trial.kind](trial.temperature, trial.seed, looping=trial.looping)
        try:
            loop.play(path)
        except Exception as error:  # noqa: BLE001 - whatever ends a sound loop is what is looked for
            return Outcome(*trial, ended=f"{type(error).__name__}: {error}".splitlines()[0])
        columns = read_columns(path).columns
        found = diagnose(Evidence(columns, name=trial.kind)).found
        bugs = [(each.rule, each.finding.message) for each in found if each.family == "bug"]
        return Outcome(*trial, rounds=len(columns.rounds), bugs=bugs)


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each kind: accused per run by temperature, and the rules that accused."""
    cells = defaultdict[str, list[Outcome]](list)
    for each in outcomes:
        cells[each.kind].append(each)
    width = max(map(len, cells))
    lines = [f"{'loop':{width}}  accused per run  ended per run  by"]
    for kind, some in cells.items():
        rules = dict.fromkeys(rule for each in some for rule, _ in each.bugs)
        ended = dict.fromkeys(each.ended for each in some if each.ended)
        accused = sum(bool(each.bugs) for each in some)
        stopped = sum(bool(each.ended) for each in some)
        counts = f"{f'{accused}/{len(some)}':>15}  {f'{stopped}/{len(some)}':>13}"
        lines.append(f"{kind:{width}}  {counts}  {', '.join([*rules, *ended])}".rstrip())
    accused = sum(bool(each.bugs) for each in outcomes)
    ended = sum(bool(each.ended) for each in outcomes)
    return [*lines, "", f"{accused} of {len(outcomes)} runs were accused, and {ended} were ended"]


def write(outcomes: Sequence[Outcome], text: str, into: Path) -> None:
    """Write sound-loops.json and .txt."""
    found = {"stamp": stamp(torch.device("cpu")), "runs": msgspec.to_builtins(outcomes)}
    (into / "sound-loops.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(found), indent=1)
    )
    (into / "sound-loops.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
