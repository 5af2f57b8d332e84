"""Play the matrix: every fault and every control in the real engine, by three seeds, and judge it.

python benchmarks/diagnosis.py [--seeds 3] [--jobs 2] [--only TEXT] [--probe SECONDS]

Faults of cost show in times, so they are played one at a time, after all others.
"""

import argparse
import sys

import msgspec
import torch
from stamp import RESULTS, save, stamp

from specprof import catalogue
from specprof.drills import matrix
from specprof.drills.playing import Judged


def play(only: str, seeds: int, jobs: int, budget_s: float) -> list[Judged]:
    """Play all drills whose name contains `only`, and print each on stderr as it ends."""
    judged = []
    for timed in (False, True):
        at_once = 1 if timed else jobs
        for one in matrix.run_matrix(
            only, range(seeds), {}, at_once, budget_s=budget_s, timed=timed
        ):
            print(one.name, one.seed, one.named, one.leading, one.suspects, file=sys.stderr)
            judged.append(one)
    return judged


def unseen_reasons(judged: list[Judged]) -> dict[str, str]:
    """Return the catalogue's reason for each fault that was not always named."""
    cases = catalogue.cases()
    missed = dict.fromkeys(one.name for one in judged if one.kind == "fault" and not one.named)
    return {name: cases[name].unseen or "no reason is known" for name in missed}


def main() -> None:
    """Write results/diagnosis.json and .txt, or diagnosis-probed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--probe", type=float, default=0.0, help="seconds for each drill's probes")
    asked = parser.parse_args()
    judged = play(asked.only, asked.seeds, asked.jobs, asked.probe)
    name = "diagnosis-probed" if asked.probe else "diagnosis"
    table = matrix.table(judged)
    print(table)
    if asked.only:
        return
    stamped = stamp(torch.device("cpu"))  # before a result is written, which is a change
    (RESULTS / f"{name}.txt").write_text(table, encoding="utf-8")
    made = msgspec.json.decode(matrix.document(judged))
    print(save(name, stamped | {"not_named": unseen_reasons(judged)} | made))


if __name__ == "__main__":
    main()
