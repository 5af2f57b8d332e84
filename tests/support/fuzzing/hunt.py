"""Looks for inputs that make a reader misbehave, a numbered chunk of hypothesis' draws at a time.

A chunk draws the same whenever it is played: its number seeds it, nothing is kept between two.
What is found hypothesis makes as small as it can, then lines that don't matter are left out. What
hangs or fills the memory is kept as it was found: to bring it about a hundred times costs too much.
"""

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from fuzzing import edits, watched
from fuzzing.edits import Edit
from fuzzing.readers import CAPTURE, INDEX, PROFILE, TABLE, Reader
from fuzzing.seeds import seeds
from fuzzing.watched import Bad, costly

SCRIPTS = 200
"""Lists of edits a chunk draws; a cheap reader tries each on every seed."""
LONGEST_SCRIPT = 3
EDITS: dict[str, st.SearchStrategy[Edit]] = {
    CAPTURE: st.one_of(edits.nodes, edits.nodes, edits.whole, edits.whole_files, edits.raw),
    TABLE: st.one_of(edits.words, edits.words, edits.nodes, edits.whole, edits.raw),
    PROFILE: st.one_of(edits.assigned, edits.assigned, edits.words, edits.whole, edits.raw),
    INDEX: st.one_of(edits.nodes, edits.nodes, edits.words, edits.raw),
}
DAMAGE = st.one_of(edits.whole, edits.whole, edits.whole_files)
LONG = "long-"
"""How captures are called that hold rounds enough for statistical rules: only for diagnoses."""
PURSUIT_S = 20.0
"""Then what is pursued is small enough."""
SMALLEST_WORTH_BYTES = 100_000
"""A larger input is not tried without each of its lines."""
QUIET = settings(
    database=None,
    deadline=None,
    derandomize=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
    print_blob=False,
)


@dataclass(frozen=True)
class Found:
    """One kind of thing that must not happen, with an input that brings it about."""

    reader: str
    kind: str
    told: str
    name: str
    """Of the file, whose suffix some readers go by."""
    data: bytes
    chunk: int | None = None
    """In which it was drawn; None: it is a file of the corpus, or the beginning of a seed."""


@dataclass
class Tally:
    """What came of a number of inputs."""

    inputs: int = 0
    refused: int = 0
    """Of those, by an error that says what is wrong."""
    bad: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    """One of each kind."""

    def add(self, other: "Tally") -> None:
        """Take in another tally; of a kind found in both, the smaller input stays."""
        self.inputs += other.inputs
        self.refused += other.refused
        self.bad += other.bad
        for each in other.found.values():
            self.keep(each)

    def keep(self, found: Found) -> None:
        """Keep what was found, unless a smaller input is known that does the same."""
        known = self.found.get(found.kind)
        if known is None or len(found.data) <= len(known.data):
            self.found[found.kind] = found


class Hunt:
    """One chunk. Only one kind of thing is pursued, which no hunt of this process did before."""

    pursued: set[str] = set()  # noqa: RUF012 - one for all: what was made small once is known

    def __init__(self, reader: Reader, chunk: int | None, room: Path) -> None:
        self.reader = reader
        self.chunk = chunk
        self.room = room
        """A folder for the input that is being read; a reader may leave files beside it."""
        self.tally = Tally()
        self._quarry: str | None = None
        self._ends = math.inf
        """On `time.monotonic`: nothing is read after it."""

    def play(self, examples: int) -> Tally:
        """Draw this many lists of edits and try them; return what came of it."""
        known = seeds(self.reader.of)
        each = st.sampled_from(sorted(known)).map(lambda name: (name,))
        short = tuple(name for name in known if not name.startswith(LONG))
        names = st.just(short) if self.reader.cheap else each

        @seed(self.chunk)
        @settings(QUIET, max_examples=examples)
        @given(script(self.reader), names)
        def tried(made: list[Edit], on: tuple[str, ...]) -> None:
            for name in on:
                self._try(name, edits.edited(known[name], made))

        with contextlib.suppress(Bad, Flaky):
            tried()
        if self._quarry is not None:
            self.tally.keep(self._smaller(self.tally.found[self._quarry]))
        return self.tally

    def _try(self, name: str, data: bytes) -> None:
        """Read one input; raises Bad where it shows what is pursued."""
        if time.monotonic() > self._ends:
            return
        try:
            read = self._read(name, data)
        except Bad as bad:
            self._count(bad=True)
            self._keep(bad, name, data)
            if costly(bad) or bad.kind in self.pursued:
                return
            if self._quarry is None:
                self._quarry, self._ends = bad.kind, time.monotonic() + PURSUIT_S
            if bad.kind == self._quarry:
                raise
        else:
            self._count(refused=not read)

    def _read(self, name: str, data: bytes) -> bool:
        path = self.room / name
        path.write_bytes(data)
        return watched.watched(self.reader.read, path)

    def _count(self, *, refused: bool = False, bad: bool = False) -> None:
        if self._quarry is None:  # what is tried to make an input smaller does not count
            self.tally.inputs += 1
            self.tally.refused += refused
            self.tally.bad += bad

    def _keep(self, bad: Bad, name: str, data: bytes) -> None:
        self.tally.keep(Found(self.reader.name, bad.kind, str(bad), name, data, self.chunk))

    def _smaller(self, found: Found) -> Found:
        """Leave out each line without which the same happens."""
        self.pursued.add(found.kind)
        lines = found.data.splitlines(keepends=True)
        at = len(lines) - 1 if len(found.data) < SMALLEST_WORTH_BYTES else 0
        while at > 0:
            fewer = [*lines[:at], *lines[at + 1 :]]
            try:
                self._read(found.name, b"".join(fewer))
            except Bad as bad:
                lines = fewer if bad.kind == found.kind else lines
            at -= 1
        return Found(found.reader, found.kind, found.told, found.name, b"".join(lines), found.chunk)


def script(reader: Reader) -> st.SearchStrategy[list[Edit]]:
    """Return a strategy of edits, to be made one after the other."""
    one = DAMAGE if reader.damage else EDITS[reader.of]
    return st.lists(one, min_size=1, max_size=LONGEST_SCRIPT)


def hunt(reader: Reader, chunk: int, *, examples: int = SCRIPTS, room: Path | None = None) -> Tally:
    """Play a chunk, in a folder of its own unless one is given."""
    with watched.room() as folder:
        return Hunt(reader, chunk, room or folder).play(examples)


def cut_at_each(reader: Reader, data: bytes, lengths: Sequence[int], room: Path) -> Tally:
    """Read what is left of a capture whose file ends after each of these numbers of bytes."""
    played = Hunt(reader, None, room)
    for length in lengths:
        with contextlib.suppress(Bad):
            played._try("cut.jsonl", data[:length])
    return played.tally
