"""Measure what reading long captures takes: processor time and memory of commands, by rounds.

    python benchmarks/capture_growth.py [--rounds 1000 10000 100000 1000000] [--kinds walks drawn]
                                        [--of CAPTURE] [--kept FOLDER]

Captures of each kind and length are made (see long_captures.py) from CAPTURE, or from a default run
that is recorded first. Each command reads each capture in a process of its own. Reported are user
and system seconds together, wall seconds, and the most resident memory. Processor time goes up by
half and more if other programs share the cores. It is an upper bound then, and the load average
stands beside it.

The growth exponent is taken from the last but one length to the last, of what a command takes
beyond its start. The start is what the shortest capture takes. An exponent of 1 is growth in
proportion to the rounds.

Writes benchmarks/results/capture-growth.json and .txt, with the goals judged.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COMMANDS = {
    "diagnose": ["diagnose"],
    "view --plain": ["view", "--plain"],
    "compare": ["compare"],
    "export csv": ["export", "csv", "-o", "-"],
    "export json": ["export", "json", "-o", "-"],
}
"""Command -> its arguments before the capture's name."""
LENGTHS, KINDS = (1_000, 10_000, 100_000, 1_000_000), ("walks", "drawn")
GOAL_ROUNDS, GOAL_CPU_S, GOAL_BYTES, GOAL_EXPONENT = 1_000_000, 20.0, 1e9, 1.1
BOUNDED_COMMANDS = tuple(COMMANDS)
"""Commands whose memory has a goal; `diagnose` has one for its time as well."""
Row = dict[str, Any]


def make_capture(kind: str, rounds: int, of: Path, path: Path) -> None:
    """Make a capture in a process of its own, so that its memory is not in this one's."""
    script = Path(__file__).with_name("long_captures.py")
    asked = [str(script), kind, str(rounds), str(path)] + (["--of", str(of)] * (kind == "walks"))
    subprocess.run([sys.executable, *asked], check=True)  # noqa: S603 - our own script


def time_command(command: Sequence[str], path: Path) -> Row:
    """Run a command on a capture; return its times and memory. Raises SystemExit if it failed.

    A child's peak memory begins with its parent's, so this process has to stay small.
    """
    asked = [sys.executable, "-m", "specprof", *command, str(path)]
    started, load = time.perf_counter(), os.getloadavg()[0]
    child = subprocess.Popen(asked, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(asked)} ended with {child.returncode}")
    kilo = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - started,
        "peak_bytes": used.ru_maxrss * kilo,
        "load_before": load,
    }


def count_rounds(path: Path) -> int:
    """Return the number of rounds in a capture's closing line."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return int(json.loads(file.read().splitlines()[-1])["rounds"])


def measure(
    kinds: Sequence[str], lengths: Sequence[int], of: Path, folder: Path, *, kept: bool
) -> list[Row]:
    """Make each missing capture, read it with every command, and delete it unless `kept`."""
    rows = []
    for kind in kinds:
        for length in lengths:
            path = folder / f"{kind}-{length}.jsonl"
            if not path.exists():
                make_capture(kind, length, of, path)
            about = {"kind": kind, "rounds": count_rounds(path), "bytes": path.stat().st_size}
            for name, command in COMMANDS.items():
                rows.append(about | {"command": name} | time_command(command, path))
                print(rows[-1], file=sys.stderr)
            if not kept:
                path.unlink()
    return rows


def growth_exponent(rows: Sequence[Row], of: str) -> float | None:
    """Return the growth exponent of one command's rows, shortest first; None if there is none."""
    if len(rows) < 3:  # noqa: PLR2004 - a start and two lengths
        return None
    start, *_, before, last = rows
    grown, had = last[of] - start[of], before[of] - start[of]
    if min(grown, had) <= 0:  # too short to differ from the start
        return None
    return math.log(grown / had) / math.log(last["rounds"] / before["rounds"])


def list_exponents(rows: Sequence[Row]) -> list[Row]:
    """Return the growth exponents of each command with each kind of capture."""
    found = []
    for kind, command in dict.fromkeys((row["kind"], row["command"]) for row in rows):
        alike = [row for row in rows if (row["kind"], row["command"]) == (kind, command)]
        exponents = {f"{of}_exponent": growth_exponent(alike, of) for of in ("cpu_s", "peak_bytes")}
        found.append({"kind": kind, "command": command} | exponents)
    return found


def judge_goals(rows: Sequence[Row]) -> list[Row]:
    """Judge the stated goals; a goal without a measurement is not met."""
    long = [row for row in rows if row["rounds"] >= GOAL_ROUNDS]
    asked = [("diagnose", "cpu_s", GOAL_CPU_S, long)]
    asked += [(command, "peak_bytes", GOAL_BYTES, long) for command in BOUNDED_COMMANDS]
    grown = list_exponents(rows) if long else []
    asked += [(command, "cpu_s_exponent", GOAL_EXPONENT, grown) for command in BOUNDED_COMMANDS]
    judged = []
    for command, of, goal, seen in asked:
        values = [each[of] for each in seen if each["command"] == command and each[of] is not None]
        worst = max(values, default=None)
        met = worst is not None and worst <= goal
        judged.append({"command": command, "of": of, "goal": goal, "worst": worst, "met": met})
    return judged


def table(rows: Sequence[Row], judged: Sequence[Row]) -> str:
    """Return the figures as text."""
    lines = ["kind   command            rounds      MB  processor s   wall s  peak MB  load"]
    lines += [
        f"{row['kind']:6} {row['command']:13} {row['rounds']:11,} {row['bytes'] / 1e6:7.1f} "
        f"{row['cpu_s']:12.2f} {row['wall_s']:8.2f} {row['peak_bytes'] / 1e6:8.0f} "
        f"{row['load_before']:5.1f}"
        for row in rows
    ]
    lines += ["", "growth exponents beyond the start: processor time, memory"]
    lines += [
        f"{each['kind']:6} {each['command']:13} {_format_value(each['cpu_s_exponent'])} "
        f"{_format_value(each['peak_bytes_exponent'])}"
        for each in list_exponents(rows)
    ]
    lines += ["", f"goals at {GOAL_ROUNDS:,} rounds and more: what, at most, the worst seen"]
    lines += [
        f"{each['command']:13} {each['of']:15} {each['goal']:8.3g} {_format_value(each['worst'])} "
        f"{'met' if each['met'] else 'NOT MET'}"
        for each in judged
    ]
    return "\n".join(lines) + "\n"


def _format_value(value: float | None) -> str:
    return f"{'–' if value is None else format(value, '.3g'):>9}"


def main() -> None:
    """Measure, judge, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--of", type=Path, help="a finished greedy run that walks are made of")
    parser.add_argument("--kept", type=Path, help="a folder to keep captures in, and find them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder, kept = asked.kept or Path(own), asked.kept is not None
        of = asked.of or Path(own) / "default.jsonl"
        if asked.of is None and "walks" in asked.kinds:
            run = [sys.executable, "-m", "specprof", "run", "-o", str(of)]
            subprocess.run(run, check=True)  # noqa: S603 - our own
        rows = measure(asked.kinds, sorted(asked.rounds), of, folder, kept=kept)
    judged = judge_goals(rows)
    text = table(rows, judged)
    print(text)
    save_all(rows, judged, text)


def save_all(rows: Sequence[Row], judged: Sequence[Row], text: str) -> None:
    """Write both results. The stamp loads torch, so it comes last: no child may inherit torch."""
    import torch
    from stamp import RESULTS, save, stamp

    where = stamp(torch.device("cpu"))  # first, because writing a result changes the tree
    (RESULTS / "capture-growth.txt").write_text(text, encoding="utf-8")
    whole = where | {"goals": judged, "growth": list_exponents(rows), "rows": rows}
    print(save("capture-growth", whole))


if __name__ == "__main__":
    main()
