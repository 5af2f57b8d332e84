"""One trial: a run is started and killed at a moment; what it leaves is looked at and gone on with.

Knows commands and processes; what a capture or a folder must be like stands in `left`.
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
from killed.left import COMMAND, Problems, capture_left, environment, sweep_left

from specprof.errors import INTERRUPTED, SpecprofError
from specprof.plain import plain

SMALL = ["--context", "600", "--stops", "12", "--max-new-tokens", "48", "--threads", "1"]
SMALL_CELL = ["--context", "400", "--stops", "6", "--max-new-tokens", "32", "--threads", "1"]
"""Some seconds each, once the models are loaded."""
MADE_UP = ["--backend", "synthetic", "--stops", "40", "--max-new-tokens", "128"]
MADE_UP_CELL = ["--backend", "synthetic", "--stops", "10", "--max-new-tokens", "64"]
DRILL = ["kv/draft-rollback-over-trim", "--set", "context=600", "--set", "stops=8"]
QUICK = ["--backend", "synthetic", "--context", "200", "--stops", "1", "--max-new-tokens", "8"]
ENDING_S = 300.0
"""A process that should end by itself has so long: models may yet be loading, and slowly."""
CAPTURE, SWEEP = "run.jsonl", "sweep"
KEPT = {CAPTURE, f"{CAPTURE}.log", SWEEP}
"""What a trial may leave in its folder: the capture, its dashboard's log, a sweep's folder."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a trial."""

    kind: str
    number: int
    recording: bool
    """Whether its time counts from the first line it recorded, and not from its start."""
    at_s: float
    """When it was killed, counted so."""
    left: str
    """`nothing`, `no line`, or the state of the capture; of a sweep how many runs were complete."""
    torn: bool
    problems: list[str]


@dataclass(frozen=True)
class Trial:
    """One run to be killed, in a folder of its own."""

    kind: str
    number: int
    recording: bool
    """Whether `at_s` counts from the first line recorded, and not from the start."""
    at_s: float
    room: Path
    made_up: bool
    """Whether its rounds come from tables of numbers, and no model is loaded."""


@dataclass(frozen=True)
class Kind:
    """A kind of run: how it is typed, and what is killed of it."""

    typed: Callable[[bool], list[str]]
    """Whether it is made up -> its arguments, but for `-o`."""
    again: list[str]
    """A quick run of the same kind, but for `-o`."""
    place: str = CAPTURE
    terminal: bool = False
    """Whether it is started on a terminal, and so shows its dashboard."""
    spared: str | None = None
    """`recorder` or `dashboard`: the process that is not killed."""


def _run(made_up: bool) -> list[str]:  # noqa: FBT001 - one question
    return ["run", *(MADE_UP if made_up else SMALL)]


def _swept(made_up: bool) -> list[str]:  # noqa: FBT001
    cell = MADE_UP_CELL if made_up else SMALL_CELL
    return ["run", *cell, "--no-tui", "--sweep", "depth=1,3", "--repeats", "2"]


def _drilled(made_up: bool) -> list[str]:  # noqa: FBT001
    return ["drill", *(["draft-state"] if made_up else DRILL)]


ONCE_MORE = ["run", "--no-tui", *QUICK]
KINDS = {
    "run": Kind(lambda made_up: [*_run(made_up), "--no-tui"], ONCE_MORE),
    "sweep": Kind(_swept, [*ONCE_MORE, "--sweep", "depth=1,2"], SWEEP),
    "drill": Kind(_drilled, ["drill", "none", "--set", "stops=1"]),
    "dashboard alone": Kind(_run, ONCE_MORE, terminal=True, spared="recorder"),
    "recorder alone": Kind(_run, ONCE_MORE, terminal=True, spared="dashboard"),
}


def durations_s(name: str, room: Path, *, made_up: bool) -> tuple[float, float]:
    """Return how long an undisturbed run of the kind takes, in seconds: in all, and recording."""
    room.mkdir()
    kind, started = KINDS[name], time.monotonic()
    with _started(kind, room, made_up=made_up) as run:
        _wait_until(lambda: _recording(room / kind.place), ENDING_S)
        began = time.monotonic()
        if kind.terminal:
            _wait_until(lambda: _ended(room / CAPTURE), ENDING_S)
            ended = time.monotonic()
            run.leave()
        code = run.process.wait(ENDING_S)
    if code not in ({0, INTERRUPTED} if kind.terminal else {0}):
        title = f"{name} ended with {code} before anything was killed"
        raise SpecprofError(title, plain(run.said[-500:]))
    if not kind.terminal:
        ended = time.monotonic()
    return ended - started, ended - began


def play(trial: Trial) -> Outcome:
    """Start, kill, look, and go on."""
    trial.room.mkdir()
    kind, problems = KINDS[trial.kind], Problems()
    with _started(kind, trial.room, made_up=trial.made_up) as run:
        if trial.recording:
            _wait_until(lambda: _recording(trial.room / kind.place), ENDING_S)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(trial.at_s)
        run.kill(kind.spared, problems)
    if "Traceback" in run.said:
        problems.add("a traceback", run.said[-2_000:])
    names = {each.name for each in trial.room.iterdir()} - {TEMPORARY}
    problems.add_unless(names <= KEPT, f"the folder holds {sorted(names - KEPT)}")
    place = trial.room / kind.place
    if kind.place == SWEEP:
        left, torn = sweep_left(place, kind.again, problems), False
    else:
        closed = kind.spared == "recorder"
        left, torn = capture_left(place, kind.again, problems, closed=closed)
    return Outcome(trial.kind, trial.number, trial.recording, trial.at_s, left, torn, problems.told)


TEMPORARY = "temporary"
"""The folder for its processes' temporary files: what is killed can't remove them."""


class Started:
    """A run that was started, with all it says."""

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
        """Kill it at once: all its processes, or only one, and wait for the end of the other."""
        if spared == "dashboard":  # there may be no recorder yet, or none any more
            _wait_until(lambda: len(self._family()) != 1 or _ended(self._capture), ENDING_S)
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
            self.process.wait(ENDING_S)
        _, alive = psutil.wait_procs(family, ENDING_S)
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                problems.add("a process did not end", " ".join(each.cmdline()[:6]))
                each.kill()

    def leave(self) -> None:
        """Press q until the dashboard has closed."""
        ends = time.monotonic() + ENDING_S
        while self.process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(OSError):
                os.write(self._terminal or 0, b"q")
            time.sleep(0.3)

    def close(self) -> None:
        """End what is left of it."""
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
def _started(kind: Kind, room: Path, *, made_up: bool) -> Iterator[Started]:
    (room / TEMPORARY).mkdir()
    changed = {"TMPDIR": str(room / TEMPORARY), "TERM": "xterm-256color", "HF_HUB_OFFLINE": "1"}
    ours, theirs = pty.openpty() if kind.terminal else (None, subprocess.DEVNULL)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *kind.typed(made_up), "-o", kind.place],
        cwd=room,
        env=environment(**changed),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if kind.terminal else subprocess.PIPE,
        start_new_session=True,
    )
    if kind.terminal:
        os.close(theirs)
    run = Started(process, ours, room / CAPTURE)
    try:
        yield run
    finally:
        run.close()


def _recording(place: Path) -> bool:
    """Return whether a whole line stands in the capture, or in one of the folder's."""
    captures = place.glob("*.jsonl") if place.is_dir() else [place]
    return any(each.is_file() and b"\n" in each.read_bytes() for each in captures)


def _ended(path: Path) -> bool:
    return path.is_file() and b'{"event":"end"' in path.read_bytes()


def _wait_until(true: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.02)
