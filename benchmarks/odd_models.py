"""Give odd model folders and settings to `specprof run`, and judge how each run ends.

Right is exit code 0 if the run may end well. Otherwise it is 2 or 3, with two lines on stderr and
no traceback, within 60 s of processor time and 8 GiB of addresses, and before a gigabyte is taken.
Each case runs in a child forked from a process that has torch loaded. With `--processes` it runs in
a fresh interpreter instead.
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
from odd.recipes import all_of, make_head, write_healthy
from odd.settings import SETTINGS
from odd.weights import WEIGHTS
from stamp import save, stamp

LIMIT_S, PATIENCE_S = 60, 600
"""Seconds that a case may take: of processor time, and of wall time, which a busy machine needs."""
MAX_ADDRESS_BYTES = 8 * 2**30
MAX_REFUSED_BYTES = 2**30
"""Bytes that a refused run may have taken."""
PROGRESS_STARTS = ("[", "loading the models", "what libraries said is in ")
"""Beginnings of progress lines; an error's two lines come after them."""
ERROR_LINES = 2
"""An error has two lines: what is wrong, what to do."""
PROGRESS_EVERY_CASES = 50
TEXT = "the quick brown fox jumps over the lazy dog; " * 20


@dataclass(frozen=True)
class Trial:
    """The outcome of one odd input."""

    name: str
    verdict: str
    """`ok`, `clean` (refused rightly), or what is wrong."""
    code: int | None
    seconds: float
    peak_mb: int
    said: str
    """The last lines on stderr."""


@dataclass(frozen=True)
class Case:
    """A run, and whether it may end well."""

    name: str
    prepare: Callable[[Path], list[str]]
    """Changes a folder with a healthy pair, and returns the options."""
    runs: bool


def list_cases() -> Iterator[Case]:
    """Yield every case: odd folders as a target, as a draft and as a head, then odd settings."""
    for odd in (*SIZES, *KINDS, *NUMBERS, *ROPES, *FILES, *WEIGHTS, *PLACES):
        for side in ("target", "draft"):
            yield Case(f"{side}: {odd.name}", _prepare_folder(odd.make, side), odd.runs)
    for odd in (*SIZES, *KINDS, *NUMBERS, *ROPES, *PLACES):
        make = all_of(make_head, odd.make)  # a head is read by its tensors' shapes
        yield Case(
            f"head: {odd.name}", _prepare_folder(make, "draft", "--drafter", "eagle"), runs=True
        )
    for odd in (*FILES, *WEIGHTS):
        named = _prepare_folder(odd.make, "draft", "--drafter", "eagle")
        yield Case(f"no head: {odd.name}", named, odd.make is make_head)
    for asked in SETTINGS:
        yield Case(asked.name, lambda _, asked=asked: list(asked.options), asked.runs)


def _prepare_folder(
    make: Callable[[Path], object], side: str, *more: str
) -> Callable[[Path], list[str]]:
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
        code, peak = _wait(_begin(command, out, place, forked=forked))
        seconds = time.monotonic() - started
        said = out.read_text(errors="replace")
        ran = list(place.rglob("RAN"))
    verdict = "foreign code ran" if ran else judge(case, code, said, peak)
    return Trial(case.name, verdict, code, round(seconds, 1), peak >> 20, said[-600:])


def _command(place: Path) -> list[str]:
    return [
        *("run", "--no-tui", "--device", "cpu", "--threads", "1", "--context", "60"),
        *("--stops", "2", "--max-new-tokens", "6", "--depth", "2", "--text", str(place / "text")),
        *("--target", str(place / "target"), "--draft", str(place / "draft")),
        *("-o", str(place / "run.jsonl")),
    ]


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 5))


def _begin(command: list[str], out: Path, place: Path, *, forked: bool) -> int:
    """Start a run in a fork of this process, or in a fresh interpreter; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        _limit_resources()
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
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int) -> tuple[int | None, int]:
    """Wait; return the exit code, None if the child had to be killed, and its peak bytes."""
    deadline, peak = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < deadline:
        peak = (
            _read_peak(child) or peak
        )  # the last reading counts: at first the child is a copy of this process
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGXCPU else code, peak
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, peak


def _read_peak(child: int) -> int:
    """Return the most bytes a process has held so far; 0 once it has ended.

    `wait4` is no use: its peak includes what this process held when the child began.
    """
    try:
        status = Path(f"/proc/{child}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line)


def judge(case: Case, code: int | None, said: str, peak: int) -> str:
    """Return the verdict on how a case ended: `ok`, `clean` (refused rightly), or what is wrong."""
    lines = [each for each in said.splitlines() if not each.startswith(PROGRESS_STARTS)]
    refused = len(lines) == ERROR_LINES and lines[0].startswith("specprof: ")
    refused = refused or any("Usage:" in each for each in lines)  # the command line's own refusal
    wrong = {
        "hangs": code is None,
        "traceback": "Traceback (most recent call last)" in said or "panicked at" in said,
        "runs and should not": code == 0 and not case.runs,
        f"exit {code}": code not in {0, 2, 3},
        f"{len(lines)} lines": code in {2, 3} and not refused,
        f"{peak >> 20} MB taken first": code in {2, 3} and peak > MAX_REFUSED_BYTES,
    }
    return next((what for what, found in wrong.items() if found), "clean" if code else "ok")


def main() -> None:
    """Run all cases, print what is wrong, and keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", action="store_true", help="a fresh interpreter for each")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results")
    asked = parser.parse_args()
    wanted = [case for case in list_cases() if asked.only in case.name]
    if not asked.processes:
        import specprof.backends.native
        import specprof.drafters.eagle  # noqa: F401 - both for the children
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder)
        (pair / "text").write_text(TEXT)
        write_healthy(pair / "target", seed=1)
        write_healthy(pair / "draft", seed=2)
        trials = []
        for number, case in enumerate(wanted):
            if number % PROGRESS_EVERY_CASES == 0:
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
