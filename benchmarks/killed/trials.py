"""One trial: a run is started and killed at a moment, then its files are checked and used again.

This file has the commands and processes; `left` has the checks of captures and folders.
"""

import contextlib
import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from killed.left import COMMAND, Problems, check_capture, check_sweep, make_environment

from specprof.errors import INTERRUPTED, SpecprofError
from specprof.plain import plain

RUN_OPTIONS = ["--context", "600", "--stops", "12", "--max-new-tokens", "48", "--threads", "1"]
CELL_OPTIONS = ["--context", "400", "--stops", "6", "--max-new-tokens", "32", "--threads", "1"]
"""Each takes some seconds once the models are loaded."""
SYNTHETIC_RUN_OPTIONS = ["--backend", "synthetic", "--stops", "40", "--max-new-tokens", "128"]
SYNTHETIC_CELL_OPTIONS = ["--backend", "synthetic", "--stops", "10", "--max-new-tokens", "64"]
DRILL_ARGUMENTS = ["kv/draft-rollback-over-trim", "--set", "context=600", "--set", "stops=8"]
QUICK_OPTIONS = [
    "--backend",
    "synthetic",
    "--context",
    "200",
    "--stops",
    "1",
    "--max-new-tokens",
    "8",
]
MAX_ENDING_S = 300.0
"""Time for a process to end by itself; its models may still be loading, and slowly."""
CAPTURE, SWEEP = "run.jsonl", "sweep"
KEPT = {CAPTURE, f"{CAPTURE}.log", SWEEP}
"""What a trial may leave in its folder: the capture, its dashboard's log, a sweep's folder."""


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a trial."""

    kind: str
    number: int
    recording: bool
    """Whether `at_s` counts from the first recorded line, and not from the start."""
    at_s: float
    """When it was killed."""
    left: str
    """`nothing`, `no line`, or the capture's state; for a sweep the number of complete runs."""
    torn: bool
    problems: list[str]


@dataclass(frozen=True)
class Trial:
    """A run to be killed, in a folder of its own."""

    kind: str
    number: int
    recording: bool
    """Whether `at_s` counts from the first recorded line, and not from the start."""
    at_s: float
    room: Path
    made_up: bool
    """Whether its rounds are synthetic, so that no model is loaded."""


@dataclass(frozen=True)
class Kind:
    """A kind of run: its command, and which of its processes are killed."""

    typed: Callable[[bool], list[str]]
    """`made_up` -> its arguments without `-o`."""
    again: list[str]
    """Arguments of a quick run of the same kind, without `-o`."""
    place: str = CAPTURE
    terminal: bool = False
    """Whether it is started on a terminal, and so shows its dashboard."""
    spared: str | None = None
    """`recorder` or `dashboard`: the process that is not killed."""


def _run_arguments(made_up: bool) -> list[str]:  # noqa: FBT001 - one question
    return ["run", *(SYNTHETIC_RUN_OPTIONS if made_up else RUN_OPTIONS)]


def _sweep_arguments(made_up: bool) -> list[str]:  # noqa: FBT001
    cell = SYNTHETIC_CELL_OPTIONS if made_up else CELL_OPTIONS
    return ["run", *cell, "--no-tui", "--sweep", "depth=1,3", "--repeats", "2"]


def _drill_arguments(made_up: bool) -> list[str]:  # noqa: FBT001
    return ["drill", *(["draft-state"] if made_up else DRILL_ARGUMENTS)]


ONCE_MORE = ["run", "--no-tui", *QUICK_OPTIONS]
KINDS = {
    "run": Kind(lambda made_up: [*_run_arguments(made_up), "--no-tui"], ONCE_MORE),
    "sweep": Kind(_sweep_arguments, [*ONCE_MORE, "--sweep", "depth=1,2"], SWEEP),
    "drill": Kind(_drill_arguments, ["drill", "none", "--set", "stops=1"]),
    "dashboard alone": Kind(_run_arguments, ONCE_MORE, terminal=True, spared="recorder"),
    "recorder alone": Kind(_run_arguments, ONCE_MORE, terminal=True, spared="dashboard"),
}


def measure_durations_s(name: str, room: Path, *, made_up: bool) -> tuple[float, float]:
    """Return the seconds that an undisturbed run of the kind takes: in all, and recording."""
    room.mkdir()
    kind, started = KINDS[name], time.monotonic()
    with _start(kind, room, made_up=made_up) as run:
        _wait_until(lambda: _is_recording(room / kind.place), MAX_ENDING_S)
        began = time.monotonic()
        if kind.terminal:
            _wait_until(lambda: _has_ended(room / CAPTURE), MAX_ENDING_S)
            ended = time.monotonic()
            run.leave()
        code = run.process.wait(MAX_ENDING_S)
    if code not in ({0, INTERRUPTED} if kind.terminal else {0}):
        title = f"{name} ended with {code} before anything was killed"
        raise SpecprofError(title, plain(run.said[-500:]))
    if not kind.terminal:
        ended = time.monotonic()
    return ended - started, ended - began


def play(trial: Trial) -> Outcome:
    """Start a run, kill it, check its files and use them again."""
    trial.room.mkdir()
    kind, problems = KINDS[trial.kind], Problems()
    with _start(kind, trial.room, made_up=trial.made_up) as run:
        if trial.recording:
            _wait_until(lambda: _is_recording(trial.room / kind.place), MAX_ENDING_S)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(trial.at_s)
        run.kill(kind.spared, problems)
    if "Traceback" in run.said:
        problems.add("a traceback", run.said[-2_000:])
    names = {each.name for each in trial.room.iterdir()} - {TEMPORARY}
    problems.require(names <= KEPT, f"the folder holds {sorted(names - KEPT)}")
    place = trial.room / kind.place
    if kind.place == SWEEP:
        left, torn = check_sweep(place, kind.again, problems), False
    else:
        closed = kind.spared == "recorder"
        left, torn = check_capture(place, kind.again, problems, closed=closed)
    return Outcome(
        trial.kind, trial.number, trial.recording, trial.at_s, left, torn, problems.found
    )


TEMPORARY = "temporary"
"""The folder for its processes' temporary files, which a killed process can't remove."""


class StartedRun:
    """A run that was started, with its output."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", terminal: int | None, capture: Path
    ) -> None:
        self.process = process
        self._capture = capture
        self._terminal = terminal
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        """Everything it wrote to its terminal, or to stderr."""
        return self._said.decode("utf-8", "replace")

    def kill(self, spared: str | None, problems: Problems) -> None:
        """Kill all its processes; or spare one, and wait for its end."""
        if spared == "dashboard":  # the recorder may not have started yet, or have ended
            _wait_until(lambda: len(self._family()) != 1 or _has_ended(self._capture), MAX_ENDING_S)
        family = self._family()
        if spared is None:
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGKILL)
        elif spared == "recorder":
            self.process.kill()
        else:
            for each in family[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            self.leave()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(MAX_ENDING_S)
        _, alive = psutil.wait_procs(family, MAX_ENDING_S)
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                problems.add("a process did not end", " ".join(each.cmdline()[:6]))
                each.kill()

    def leave(self) -> None:
        """Press q until the dashboard has closed."""
        ends = time.monotonic() + MAX_ENDING_S
        while self.process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(OSError):
                os.write(self._terminal or 0, b"q")
            time.sleep(0.3)

    def close(self) -> None:
        """Kill its remaining processes and close its files."""
        for each in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        self._reader.join(5)
        if self._terminal is not None:
            os.close(self._terminal)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _read(self) -> None:
        source = self._terminal if self._terminal is not None else self.process.stderr.fileno()
        while True:
            ready, _, _ = select.select([source], [], [], 0.2)
            try:
                piece = os.read(source, 65_536) if ready else None
            except OSError:  # a terminal whose last process has ended
                return
            if piece == b"" or (piece is None and self.process.poll() is not None):
                return
            self._said += piece or b""


@contextlib.contextmanager
def _start(kind: Kind, room: Path, *, made_up: bool) -> Iterator[StartedRun]:
    (room / TEMPORARY).mkdir()
    changed = {"TMPDIR": str(room / TEMPORARY), "TERM": "xterm-256color", "HF_HUB_OFFLINE": "1"}
    ours, theirs = pty.openpty() if kind.terminal else (None, subprocess.DEVNULL)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *kind.typed(made_up), "-o", kind.place],
        cwd=room,
        env=make_environment(**changed),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if kind.terminal else subprocess.PIPE,
        start_new_session=True,
    )
    if kind.terminal:
        os.close(theirs)
    run = StartedRun(process, ours, room / CAPTURE)
    try:
        yield run
    finally:
        run.close()


def _is_recording(place: Path) -> bool:
    """Return whether the capture, or a capture in the folder, holds a whole line."""
    captures = place.glob("*.jsonl") if place.is_dir() else [place]
    return any(each.is_file() and b"\n" in each.read_bytes() for each in captures)


def _has_ended(path: Path) -> bool:
    return path.is_file() and b'{"event":"end"' in path.read_bytes()


def _wait_until(true: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.02)
