"""Odd model folders and settings, each given to `specprof run`: how each ends.

Right is exit code 0 where a run may end well, else 2 or 3 with two lines on stderr, no traceback,
within 60 s of processor time and 8 GiB of addresses, and before a gigabyte is taken. Each is run in
a child forked from a process that has torch loaded; `--processes` starts a fresh interpreter for
each instead.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a fork with threads may hang

import torch
from odd.configs import KINDS, NUMBERS, ROPES, SIZES
from odd.files import FILES, PLACES
from odd.recipes import both, head, healthy
from odd.settings import SETTINGS
from odd.weights import WEIGHTS
from stamp import save, stamp

LIMIT_S, PATIENCE_S = 60, 600
"""Of processor time a case may take, and of a clock on however busy a machine."""
ADDRESSES = 8 * 2**30
TAKEN = 2**30
"""Bytes a run that is refused may have taken."""
NARRATED = ("[", "loading the models", "what libraries said is in ")
"""How lines of a run's progress begin; the two of an error come after them."""
TOLD = 2
"""Lines of an error: what is wrong, what to do."""
TOLD_EVERY = 50
TEXT = "the quick brown fox jumps over the lazy dog; " * 20


@dataclass(frozen=True)
class Trial:
    """How one odd input ended."""

    name: str
    verdict: str
    """`ok`, `clean`, or what is wrong."""
    code: int | None
    seconds: float
    peak_mb: int
    said: str
    """The last lines on stderr."""


@dataclass(frozen=True)
class Case:
    """What is run, and whether it may end well."""

    name: str
    prepare: Callable[[Path], list[str]]
    """Makes what it needs in a folder of a healthy pair; returns the options."""
    runs: bool


def cases() -> Iterator[Case]:
    """Yield every case: odd folders as a target, as a draft and as a head, then odd settings."""
    for odd in (*SIZES, *KINDS, *NUMBERS, *ROPES, *FILES, *WEIGHTS, *PLACES):
        for side in ("target", "draft"):
            yield Case(f"{side}: {odd.name}", _folder(odd.make, side), odd.runs)
    for odd in (*SIZES, *KINDS, *NUMBERS, *ROPES, *PLACES):
        make = both(head, odd.make)  # a head is read by its tensors' shapes: much may be odd
        yield Case(f"head: {odd.name}", _folder(make, "draft", "--drafter", "eagle"), runs=True)
    for odd in (*FILES, *WEIGHTS):
        named = _folder(odd.make, "draft", "--drafter", "eagle")
        yield Case(f"no head: {odd.name}", named, odd.make is head)
    for asked in SETTINGS:
        yield Case(asked.name, lambda _, asked=asked: list(asked.options), asked.runs)


def _folder(make: Callable[[Path], object], side: str, *more: str) -> Callable[[Path], list[str]]:
    def prepare(place: Path) -> list[str]:
        make(place / side)
        return list(more)

    return prepare


def run(case: Case, pair: Path, *, forked: bool) -> Trial:
    """Run one case on a fresh copy of the pair."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "pair"
        shutil.copytree(pair, place)
        command = [*_command(place), *case.prepare(place)]
        out, started = Path(folder) / "stderr", time.monotonic()
        code, peak = _ended(_begun(command, out, place, forked=forked))
        seconds = time.monotonic() - started
        said = out.read_text(errors="replace")
        ran = list(place.rglob("RAN"))
    verdict = "foreign code ran" if ran else judged(case, code, said, peak)
    return Trial(case.name, verdict, code, round(seconds, 1), peak >> 20, said[-600:])


def _command(place: Path) -> list[str]:
    return [
        *("run", "--no-tui", "--device", "cpu", "--threads", "1", "--context", "60"),
        *("--stops", "2", "--max-new-tokens", "6", "--depth", "2", "--text", str(place / "text")),
        *("--target", str(place / "target"), "--draft", str(place / "draft")),
        *("-o", str(place / "run.jsonl")),
    ]


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 5))


def _begun(command: list[str], out: Path, place: Path, *, forked: bool) -> int:
    """Begin a run in a child of this process, or in a fresh interpreter; return its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        _bounded()
        os.chdir(place)
        for number, file in enumerate((os.devnull, os.devnull, out)):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
        if not forked:
            os.execv(sys.executable, [sys.executable, "-m", "specprof", *command])  # noqa: S606
        sys.argv = ["specprof", *command]
        from specprof.cli import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int) -> tuple[int | None, int]:
    """Wait; return the exit code, None for one that had to be killed, and the most bytes taken."""
    deadline, peak = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < deadline:
        peak = _peak(child) or peak  # of the last program: before it the child is a copy of this
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGXCPU else code, peak
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, peak


def _peak(child: int) -> int:
    """Return the most bytes a process has held so far; 0 once it has ended.

    What the system counts for `wait4` includes what this process held when the child began.
    """
    try:
        told = Path(f"/proc/{child}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in told.splitlines() if "VmHWM" in line)


def judged(case: Case, code: int | None, said: str, peak: int) -> str:
    """Return what is to be said of how a case ended: `ok`, `clean`, or what is wrong."""
    lines = [each for each in said.splitlines() if not each.startswith(NARRATED)]
    told = len(lines) == TOLD and lines[0].startswith("specprof: ")
    told = told or any("Usage:" in each for each in lines)  # the command line's own refusal
    wrong = {
        "hangs": code is None,
        "traceback": "Traceback (most recent call last)" in said or "panicked at" in said,
        "runs and should not": code == 0 and not case.runs,
        f"exit {code}": code not in {0, 2, 3},
        f"{len(lines)} lines": code in {2, 3} and not told,
        f"{peak >> 20} MB taken first": code in {2, 3} and peak > TAKEN,
    }
    return next((what for what, found in wrong.items() if found), "clean" if code else "ok")


def main() -> None:
    """Run all, print what is wrong, keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", action="store_true", help="a fresh interpreter for each")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results")
    asked = parser.parse_args()
    wanted = [case for case in cases() if asked.only in case.name]
    if not asked.processes:
        import specprof.backends.native
        import specprof.drafters.eagle  # noqa: F401 - both for the children
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder)
        (pair / "text").write_text(TEXT)
        healthy(pair / "target", seed=1)
        healthy(pair / "draft", seed=2)
        trials = []
        for number, case in enumerate(wanted):
            if number % TOLD_EVERY == 0:
                print(f"{number} of {len(wanted)}", file=sys.stderr, flush=True)
            trials.append(run(case, pair, forked=not asked.processes))
            if trials[-1].verdict not in {"ok", "clean"}:
                print(
                    f"{trials[-1].verdict:22}{case.name}\n    {trials[-1].said[-300:]!r}",
                    flush=True,
                )
    counts = Counter(each.verdict for each in trials)
    print(dict(counts))
    if asked.keep:
        bad = [asdict(each) for each in trials if each.verdict not in {"ok", "clean"}]
        slowest = max(trials, key=lambda each: each.seconds)
        most = max(trials, key=lambda each: each.peak_mb)
        save(
            "odd_models",
            stamp(torch.device("cpu"))
            | {"cases": len(trials), "verdicts": dict(counts), "wrong": bad}
            | {"slowest": asdict(slowest), "most_memory": asdict(most)},
        )


if __name__ == "__main__":
    main()
