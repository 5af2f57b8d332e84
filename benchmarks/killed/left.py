"""What a killed run may leave, and what must still be possible with it."""

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
LIMIT_S = 300.0
"""Of a command: it may have to load the models on a busy machine."""
HIDDEN = "."
"""How the name begins of what was being written beside its place, to be moved there whole."""
JUDGED, UNREADABLE, REFUSED = 0, 5, 2
"""Exit codes."""


class Problems:
    """What was not as it should be."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add(self, what: str, details: str = "") -> None:
        """Note a problem."""
        self.told.append(f"{what}: {details}" if details else what)

    def add_unless(self, right: bool, what: str, details: str = "") -> None:  # noqa: FBT001
        """Note it unless all is right."""
        if not right:
            self.add(what, details)


def capture_left(
    path: Path, again: Sequence[str], problems: Problems, *, closed: bool = False
) -> tuple[str, bool]:
    """Look at a capture, and record into it once more; return what it was and whether it was torn.

    `closed`: it was no kill of the recorder, which must have written its closing line.
    """
    state, torn = capture_state(path, problems)
    if closed:
        problems.add_unless(state != "INCOMPLETE", "the recorder did not close its capture")
    if path.exists():
        _diagnose(path, problems)
    recorded = state not in {"nothing", "no line"}
    _record_again(path, again, problems, recorded=recorded)
    return state, torn


def capture_state(path: Path, problems: Problems) -> tuple[str, bool]:
    """Return what a capture is, and whether its last line is torn."""
    if not path.exists():
        return "nothing", False
    data = path.read_bytes()
    whole = data.count(b"\n")
    try:
        read = read_capture(path)
    except CaptureUnreadable as error:
        problems.add_unless(not whole, "whole lines are not read", error.title)
        return "no line", bool(data)
    known = 1 + len(read.events)
    problems.add_unless(known == whole, f"{whole} whole lines, {known} of them read")
    problems.add_unless(not read.damaged, f"damaged lines {read.damaged}")
    problems.add_unless(read.torn != data.endswith(b"\n"), "the torn line is not told")
    return read.state, read.torn


def sweep_left(folder: Path, again: Sequence[str], problems: Problems) -> str:
    """Look at a sweep's folder and go on with it; return how far it had come."""
    if not (folder / INDEX).exists():
        names = _names(folder) if folder.exists() else set()
        problems.add_unless(not names, f"no index, but {sorted(names)}")
        done = specprof(*again, "-o", folder)
        problems.add_unless(done.returncode == 0, "can't begin again", _end(done))
        return "nothing"
    runs = [run.file for run in read_index(folder).runs]
    before = {name: _state(folder / name, problems) for name in runs}
    complete = {name: _content(folder / name) for name in runs if before[name] == "complete"}
    _only_known(folder, runs, problems)
    for name in (name for name in runs if before[name] not in {"complete", "nothing"}):
        _diagnose(folder / name, problems)
    done = specprof("run", "--resume", folder)
    problems.add_unless(done.returncode == 0, "can't be resumed", _end(done))
    problems.add_unless("Traceback" not in done.stderr, "a traceback", _end(done))
    for run in read_index(folder).runs:
        state = _state(folder / run.file, problems)
        both = (run.state, state)
        problems.add_unless(both == ("complete", "complete"), f"{run.file} is {both} at the end")
    repeated = [name for name, was in complete.items() if _content(folder / name) != was]
    problems.add_unless(not repeated, f"complete runs were repeated: {repeated}")
    _only_known(folder, runs, problems)
    return f"{len(complete)} of {len(runs)} complete"


def specprof(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command of specprof."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def environment(**changed: str) -> dict[str, str]:
    """Return this process' environment, changed, in which specprof is the one of this checkout."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | changed


def _diagnose(path: Path, problems: Problems) -> None:
    """Judge it, or be refused in two lines: what is wrong, what to do."""
    done = specprof("diagnose", path)
    known = done.returncode in {JUDGED, UNREADABLE}
    problems.add_unless(known, f"diagnose ends with {done.returncode}", _end(done))
    problems.add_unless("Traceback" not in done.stderr, "diagnose: a traceback", _end(done))
    if done.returncode == UNREADABLE:
        lines = done.stderr.splitlines()
        two = len(lines) <= 2 and done.stderr.startswith("specprof: ")  # noqa: PLR2004 - and a hint
        problems.add_unless(two, "diagnose refuses unclearly", _end(done))


def _record_again(path: Path, again: Sequence[str], problems: Problems, *, recorded: bool) -> None:
    """Record under the same name: at once where nothing is lost by it, else by force."""
    before = path.read_bytes() if path.exists() else b""
    done = specprof(*again, "-o", path)
    if recorded:
        kept = done.returncode == REFUSED and path.read_bytes() == before
        problems.add_unless(kept, f"recorded over, exit code {done.returncode}", _end(done))
        done = specprof(*again, "-o", path, "--force")
    problems.add_unless(done.returncode == 0, "can't record again", _end(done))
    problems.add_unless(_state(path, problems) == "complete", "the second run is not complete")


def _state(path: Path, problems: Problems) -> str:
    return capture_state(path, problems)[0]


def _only_known(folder: Path, runs: Sequence[str], problems: Problems) -> None:
    unknown = _names(folder) - {INDEX, *runs}
    problems.add_unless(not unknown, f"the sweep's folder holds {sorted(unknown)}")


def _names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if not each.name.startswith(HIDDEN)}


def _content(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stderr[-500:].strip()
