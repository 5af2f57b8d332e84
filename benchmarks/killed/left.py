"""Check what a killed run left, and what must still be possible with it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from specprof.capture import read_capture
from specprof.errors import CaptureUnreadable
from specprof.sweep import INDEX, read_index

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "specprof")
COMMAND_LIMIT_S = 300.0
"""Time for a command, which may have to load the models on a busy machine."""
HIDDEN_PREFIX = "."
"""The first character of a temporary file's name, before the file is moved to its place."""
EXIT_JUDGED, UNREADABLE, REFUSED = 0, 5, 2
"""Exit codes."""


class Problems:
    """The list of what was wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, what: str, details: str = "") -> None:
        """Note a problem."""
        self.found.append(f"{what}: {details}" if details else what)

    def require(self, right: bool, what: str, details: str = "") -> None:  # noqa: FBT001
        """Note a problem unless `right`."""
        if not right:
            self.add(what, details)


def check_capture(
    path: Path, again: Sequence[str], problems: Problems, *, closed: bool = False
) -> tuple[str, bool]:
    """Check a capture, and record into it once more; return its state and whether it was torn.

    `closed`: the recorder was not killed, so it must have written its closing line.
    """
    state, torn = read_state(path, problems)
    if closed:
        problems.require(state != "INCOMPLETE", "the recorder did not close its capture")
    if path.exists():
        _diagnose(path, problems)
    recorded = state not in {"nothing", "no line"}
    _record_again(path, again, problems, recorded=recorded)
    return state, torn


def read_state(path: Path, problems: Problems) -> tuple[str, bool]:
    """Return a capture's state, and whether its last line is torn."""
    if not path.exists():
        return "nothing", False
    data = path.read_bytes()
    whole = data.count(b"\n")
    try:
        read = read_capture(path)
    except CaptureUnreadable as error:
        problems.require(not whole, "whole lines are not read", error.title)
        return "no line", bool(data)
    known = 1 + len(read.events)
    problems.require(known == whole, f"{whole} whole lines, {known} of them read")
    problems.require(not read.damaged, f"damaged lines {read.damaged}")
    problems.require(read.torn != data.endswith(b"\n"), "the torn line is not reported")
    return read.state, read.torn


def check_sweep(folder: Path, again: Sequence[str], problems: Problems) -> str:
    """Check a sweep's folder and resume it; return how many runs had been complete."""
    if not (folder / INDEX).exists():
        names = _list_names(folder) if folder.exists() else set()
        problems.require(not names, f"no index, but {sorted(names)}")
        done = run_specprof(*again, "-o", folder)
        problems.require(done.returncode == 0, "can't begin again", _tail_stderr(done))
        return "nothing"
    runs = [run.file for run in read_index(folder).runs]
    before = {name: _read_state_name(folder / name, problems) for name in runs}
    complete = {name: _read_content(folder / name) for name in runs if before[name] == "complete"}
    _check_names(folder, runs, problems)
    for name in (name for name in runs if before[name] not in {"complete", "nothing"}):
        _diagnose(folder / name, problems)
    done = run_specprof("run", "--resume", folder)
    problems.require(done.returncode == 0, "can't be resumed", _tail_stderr(done))
    problems.require("Traceback" not in done.stderr, "a traceback", _tail_stderr(done))
    for run in read_index(folder).runs:
        state = _read_state_name(folder / run.file, problems)
        both = (run.state, state)
        problems.require(both == ("complete", "complete"), f"{run.file} is {both} at the end")
    repeated = [name for name, was in complete.items() if _read_content(folder / name) != was]
    problems.require(not repeated, f"complete runs were repeated: {repeated}")
    _check_names(folder, runs, problems)
    return f"{len(complete)} of {len(runs)} complete"


def run_specprof(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command of specprof."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *map(str, arguments)],
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
    )


def make_environment(**changed: str) -> dict[str, str]:
    """Return this process's environment with changes, and with this checkout's specprof."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | changed


def _diagnose(path: Path, problems: Problems) -> None:
    """Check that `diagnose` judges it, or refuses in two lines: what is wrong, what to do."""
    done = run_specprof("diagnose", path)
    known = done.returncode in {EXIT_JUDGED, UNREADABLE}
    problems.require(known, f"diagnose ends with {done.returncode}", _tail_stderr(done))
    problems.require("Traceback" not in done.stderr, "diagnose: a traceback", _tail_stderr(done))
    if done.returncode == UNREADABLE:
        lines = done.stderr.splitlines()
        two = len(lines) <= 2 and done.stderr.startswith("specprof: ")  # noqa: PLR2004 - and a hint
        problems.require(two, "diagnose refuses unclearly", _tail_stderr(done))


def _record_again(path: Path, again: Sequence[str], problems: Problems, *, recorded: bool) -> None:
    """Record under the same name: at once if nothing was recorded, else with --force."""
    before = path.read_bytes() if path.exists() else b""
    done = run_specprof(*again, "-o", path)
    if recorded:
        kept = done.returncode == REFUSED and path.read_bytes() == before
        problems.require(kept, f"recorded over, exit code {done.returncode}", _tail_stderr(done))
        done = run_specprof(*again, "-o", path, "--force")
    problems.require(done.returncode == 0, "can't record again", _tail_stderr(done))
    problems.require(
        _read_state_name(path, problems) == "complete", "the second run is not complete"
    )


def _read_state_name(path: Path, problems: Problems) -> str:
    return read_state(path, problems)[0]


def _check_names(folder: Path, runs: Sequence[str], problems: Problems) -> None:
    unknown = _list_names(folder) - {INDEX, *runs}
    problems.require(not unknown, f"the sweep's folder holds {sorted(unknown)}")


def _list_names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if not each.name.startswith(HIDDEN_PREFIX)}


def _read_content(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def _tail_stderr(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stderr[-500:].strip()
