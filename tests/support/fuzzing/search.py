"""Plays many chunks in processes of their own, of which any may die, and keeps count."""

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from fuzzing import watched
from fuzzing.hunt import SCRIPTS, Found, Tally, cut_at_each, hunt
from fuzzing.readers import READERS
from fuzzing.seeds import SEEDS

CUT, CUT_BYTES = "greedy.jsonl", 250
"""The capture whose file is ended after each of its bytes, and how many of them a chunk takes."""
CUT_READERS = {
    f"{each} of each length": each for each in ("capture", "follower", "diagnose", "acquit")
}
"""What is said of them -> who reads what is left."""
CHUNKS_A_PROCESS = 100
"""Then it gives way to a new one, and with it whatever it gathered."""
SELDOM_S = 10.0


@dataclass
class Line:
    """How far the search in one reader is."""

    reader: str
    wanted: int
    """Inputs."""
    chunk: int = 0
    """The next to be played."""
    after: int | None = None
    """The first that is not; None: as many as it takes."""
    examples: int = SCRIPTS
    tally: Tally = field(default_factory=Tally)

    @property
    def share(self) -> float:
        """How much of it is done."""
        return self.tally.inputs / max(self.wanted, 1)

    @property
    def open(self) -> bool:
        """Whether there is more to be played."""
        return self.share < 1 and self.chunk != self.after


class Search:
    """Plays chunks, always of the reader that is furthest behind."""

    def __init__(self, jobs: int, room: Path, *, until: float) -> None:
        self.jobs = jobs
        self.room = room
        """The folder in which each chunk has one for its files."""
        self.until = until
        """On `time.monotonic`: no chunk is begun after it."""
        self._pool = _processes(jobs)
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in list((self._pool._processes or {}).values()):
            each.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def play(self, lines: Sequence[Line]) -> None:
        """Play until every reader has had its inputs, or the time is up."""
        running: dict[Future[Tally], tuple[Line, int]] = {}
        while True:
            while len(running) < 2 * self.jobs and (line := self._behind(lines)):
                running[self._submitted(line, line.chunk)] = line, line.chunk
                line.chunk += 1
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            try:
                for each in done:
                    line, _ = running[each]
                    line.tally.add(each.result())
                    del running[each]
            except BrokenProcessPool:
                self._one_by_one(list(running.values()))
                running = {}
            self._tell(lines)

    def _behind(self, lines: Sequence[Line]) -> Line | None:
        if time.monotonic() > self.until:
            return None
        return min((each for each in lines if each.open), key=lambda one: one.share, default=None)

    def _submitted(self, line: Line, chunk: int) -> "Future[Tally]":
        room = self._room(line, chunk)
        return self._pool.submit(played, line.reader, chunk, line.examples, room)

    def _room(self, line: Line, chunk: int) -> Path:
        return self.room / f"{line.reader}-{chunk}"

    def _one_by_one(self, tasks: Sequence[tuple[Line, int]]) -> None:
        """Play alone what was running when a process died, to see which of them it was."""
        for line, chunk in tasks:
            self._pool = _processes(1)
            try:
                line.tally.add(self._submitted(line, chunk).result())
            except BrokenProcessPool:
                line.tally.add(_died(line.reader, chunk, self._room(line, chunk)))
        self._pool = _processes(self.jobs)

    def _tell(self, lines: Sequence[Line]) -> None:
        if time.monotonic() - self._told < SELDOM_S:
            return
        self._told = time.monotonic()
        inputs = sum(each.tally.inputs for each in lines)
        wanted = sum(each.wanted for each in lines)
        kinds = sum(len(each.tally.found) for each in lines)
        sys.stderr.write(f"{inputs:,} of {wanted:,} inputs; {kinds} kinds of bad\n")
        sys.stderr.flush()


def played(reader: str, chunk: int, examples: int, room: Path) -> Tally:
    """Play a chunk; if this process dies, its folder is left with the input that was read."""
    room.mkdir(exist_ok=True)
    if reader in READERS:
        tally = hunt(READERS[reader], chunk, examples=examples, room=room)
    else:
        data = (SEEDS / CUT).read_bytes()
        lengths = range(chunk * CUT_BYTES, min((chunk + 1) * CUT_BYTES, len(data) + 1))
        tally = cut_at_each(READERS[CUT_READERS[reader]], data, lengths, room)
    shutil.rmtree(room)
    return tally


def cut_lines() -> list[Line]:
    """Return what is to be done for every length of the capture that is cut off."""
    lengths = (SEEDS / CUT).stat().st_size + 1
    return [Line(name, lengths, after=-(-lengths // CUT_BYTES)) for name in CUT_READERS]


def prepare() -> None:
    """Make a process ready: a Ctrl-C is the parent's, all is imported, its memory is bounded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("diagnose", "annotate", "summary", "panels", "compare"):
        READERS[name].read(SEEDS / CUT)
    READERS["judge"].read(SEEDS / "table.csv")
    watched.bound_memory()


def _processes(jobs: int) -> ProcessPoolExecutor:
    spawn = get_context("spawn")
    return ProcessPoolExecutor(
        jobs, spawn, initializer=prepare, max_tasks_per_child=CHUNKS_A_PROCESS
    )


def _died(reader: str, chunk: int, room: Path) -> Tally:
    """Return what is known of a process that died: it was reading the newest file."""
    paths = sorted(room.glob("*.*"), key=lambda path: path.stat().st_mtime)
    last = paths[-1] if paths else None
    data, name = (last.read_bytes(), last.name) if last else (b"", "unknown")
    kind = "the process died"
    return Tally(1, 0, 1, {kind: Found(reader, kind, kind, name, data, chunk)})
