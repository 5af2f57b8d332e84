"""Play many chunks in processes of their own, any of which may die, and keep count."""

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
from fuzzing.hunt import SCRIPTS_PER_CHUNK, Found, Tally, cut_at_each, hunt
from fuzzing.readers import READERS
from fuzzing.seeds import SEEDS

CUT_CAPTURE, CUT_BYTES = "greedy.jsonl", 250
"""The capture whose file is cut after each of its bytes, and the number of cuts in a chunk."""
CUT_READERS = {
    f"{each} of each length": each for each in ("capture", "follower", "diagnose", "acquit")
}
"""Name in the table -> the reader of the cut files."""
CHUNKS_A_PROCESS = 100
"""Chunks after which a process is replaced, so that it can't gather memory."""
PROGRESS_EVERY_S = 10.0


@dataclass
class Line:
    """The progress of the search in one reader."""

    reader: str
    wanted: int
    """Number of inputs to be played."""
    chunk: int = 0
    """The next chunk to be played."""
    after: int | None = None
    """The chunk at which to stop; None: play until there were enough inputs."""
    examples: int = SCRIPTS_PER_CHUNK
    tally: Tally = field(default_factory=Tally)

    @property
    def share(self) -> float:
        """The share of its inputs that was played."""
        return self.tally.inputs / max(self.wanted, 1)

    @property
    def open(self) -> bool:
        """Whether there are chunks left to play."""
        return self.share < 1 and self.chunk != self.after


class Search:
    """Plays chunks, always for the reader that is furthest behind."""

    def __init__(self, jobs: int, room: Path, *, until: float) -> None:
        self.jobs = jobs
        self.room = room
        """The folder that holds each chunk's folder of files."""
        self.until = until
        """`time.monotonic()` after which no chunk begins."""
        self._pool = _open_pool(jobs)
        self._reported = time.monotonic()

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
            self._report(lines)

    def _behind(self, lines: Sequence[Line]) -> Line | None:
        if time.monotonic() > self.until:
            return None
        return min((each for each in lines if each.open), key=lambda one: one.share, default=None)

    def _submitted(self, line: Line, chunk: int) -> "Future[Tally]":
        room = self._room(line, chunk)
        return self._pool.submit(play_chunk, line.reader, chunk, line.examples, room)

    def _room(self, line: Line, chunk: int) -> Path:
        return self.room / f"{line.reader}-{chunk}"

    def _one_by_one(self, tasks: Sequence[tuple[Line, int]]) -> None:
        """Play alone each chunk that was running when a process died, to find the cause."""
        for line, chunk in tasks:
            self._pool = _open_pool(1)
            try:
                line.tally.add(self._submitted(line, chunk).result())
            except BrokenProcessPool:
                line.tally.add(_tally_death(line.reader, chunk, self._room(line, chunk)))
        self._pool = _open_pool(self.jobs)

    def _report(self, lines: Sequence[Line]) -> None:
        if time.monotonic() - self._reported < PROGRESS_EVERY_S:
            return
        self._reported = time.monotonic()
        inputs = sum(each.tally.inputs for each in lines)
        wanted = sum(each.wanted for each in lines)
        kinds = sum(len(each.tally.found) for each in lines)
        sys.stderr.write(f"{inputs:,} of {wanted:,} inputs; {kinds} kinds of bad\n")
        sys.stderr.flush()


def play_chunk(reader: str, chunk: int, examples: int, room: Path) -> Tally:
    """Play a chunk; if this process dies, the chunk's folder still holds the input."""
    room.mkdir(exist_ok=True)
    if reader in READERS:
        tally = hunt(READERS[reader], chunk, examples=examples, room=room)
    else:
        data = (SEEDS / CUT_CAPTURE).read_bytes()
        lengths = range(chunk * CUT_BYTES, min((chunk + 1) * CUT_BYTES, len(data) + 1))
        tally = cut_at_each(READERS[CUT_READERS[reader]], data, lengths, room)
    shutil.rmtree(room)
    return tally


def list_cut_lines() -> list[Line]:
    """Return the lines for the capture that is cut at every length."""
    lengths = (SEEDS / CUT_CAPTURE).stat().st_size + 1
    return [Line(name, lengths, after=-(-lengths // CUT_BYTES)) for name in CUT_READERS]


def prepare() -> None:
    """Prepare a process: ignore Ctrl-C, import everything, bound the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("diagnose", "annotate", "summary", "panels", "compare"):
        READERS[name].read(SEEDS / CUT_CAPTURE)
    READERS["judge"].read(SEEDS / "table.csv")
    watched.bound_memory()


def _open_pool(jobs: int) -> ProcessPoolExecutor:
    spawn = get_context("spawn")
    return ProcessPoolExecutor(
        jobs, spawn, initializer=prepare, max_tasks_per_child=CHUNKS_A_PROCESS
    )


def _tally_death(reader: str, chunk: int, room: Path) -> Tally:
    """Return the tally of a process that died while it was reading the newest file."""
    paths = sorted(room.glob("*.*"), key=lambda path: path.stat().st_mtime)
    last = paths[-1] if paths else None
    data, name = (last.read_bytes(), last.name) if last else (b"", "unknown")
    kind = "the process died"
    return Tally(1, 0, 1, {kind: Found(reader, kind, kind, name, data, chunk)})
