"""Look for inputs that make a reader misbehave, in numbered chunks of hypothesis' draws.

A chunk always draws the same inputs, because its number is its seed and no chunk keeps anything.
hypothesis makes each finding as small as it can, then lines that don't matter are left out. An
input that hangs or fills the memory is kept as found, because to repeat it would cost too much.
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
from fuzzing.watched import Bad, is_costly

SCRIPTS_PER_CHUNK = 200
"""Lists of edits in a chunk; a cheap reader tries each list on every seed."""
MAX_SCRIPT_EDITS = 3
EDITS: dict[str, st.SearchStrategy[Edit]] = {
    CAPTURE: st.one_of(edits.nodes, edits.nodes, edits.whole, edits.whole_files, edits.raw),
    TABLE: st.one_of(edits.words, edits.words, edits.nodes, edits.whole, edits.raw),
    PROFILE: st.one_of(edits.assigned, edits.assigned, edits.words, edits.whole, edits.raw),
    INDEX: st.one_of(edits.nodes, edits.nodes, edits.words, edits.raw),
}
DAMAGE = st.one_of(edits.whole, edits.whole, edits.whole_files)
LONG_PREFIX = "long-"
"""Beginning of the names of captures with enough rounds for statistical rules."""
PURSUIT_S = 20.0
"""Time to make one finding smaller."""
MAX_SHRINK_BYTES = 100_000
"""A larger input is not made smaller line by line."""
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
    """One kind of misbehaviour, with an input that causes it."""

    reader: str
    kind: str
    told: str
    name: str
    """The file's name, whose suffix some readers use."""
    data: bytes
    chunk: int | None = None
    """The chunk that drew it; None for a file of the corpus or the beginning of a seed."""


@dataclass
class Tally:
    """The outcome of a number of inputs."""

    inputs: int = 0
    refused: int = 0
    """Inputs that an error refused."""
    bad: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    """Kind -> its smallest finding."""

    def add(self, other: "Tally") -> None:
        """Add another tally; of a kind found in both, the smaller input stays."""
        self.inputs += other.inputs
        self.refused += other.refused
        self.bad += other.bad
        for each in other.found.values():
            self.keep(each)

    def keep(self, found: Found) -> None:
        """Keep a finding unless a smaller input of its kind is known."""
        known = self.found.get(found.kind)
        if known is None or len(found.data) <= len(known.data):
            self.found[found.kind] = found


class Hunt:
    """A chunk. It pursues one kind of misbehaviour, new to this process."""

    pursued: set[str] = set()  # noqa: RUF012 - shared by all hunts: each kind is made small once

    def __init__(self, reader: Reader, chunk: int | None, room: Path) -> None:
        self.reader = reader
        self.chunk = chunk
        self.room = room
        """A folder for the input; a reader may leave files beside it."""
        self.tally = Tally()
        self._quarry: str | None = None
        self._ends = math.inf
        """`time.monotonic()` after which nothing is read."""

    def play(self, examples: int) -> Tally:
        """Draw `examples` lists of edits and try them; return the tally."""
        known = seeds(self.reader.of)
        each = st.sampled_from(sorted(known)).map(lambda name: (name,))
        short = tuple(name for name in known if not name.startswith(LONG_PREFIX))
        names = st.just(short) if self.reader.cheap else each

        @seed(self.chunk)
        @settings(QUIET, max_examples=examples)
        @given(script(self.reader), names)
        def try_edits(made: list[Edit], on: tuple[str, ...]) -> None:
            for name in on:
                self._try(name, edits.apply_edits(known[name], made))

        with contextlib.suppress(Bad, Flaky):
            try_edits()
        if self._quarry is not None:
            self.tally.keep(self._shrink(self.tally.found[self._quarry]))
        return self.tally

    def _try(self, name: str, data: bytes) -> None:
        """Read one input; raise Bad if it shows the pursued misbehaviour."""
        if time.monotonic() > self._ends:
            return
        try:
            read = self._read(name, data)
        except Bad as bad:
            self._count(bad=True)
            self._keep(bad, name, data)
            if is_costly(bad) or bad.kind in self.pursued:
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
        return watched.watch(self.reader.read, path)

    def _count(self, *, refused: bool = False, bad: bool = False) -> None:
        if self._quarry is None:  # tries to make an input smaller don't count
            self.tally.inputs += 1
            self.tally.refused += refused
            self.tally.bad += bad

    def _keep(self, bad: Bad, name: str, data: bytes) -> None:
        self.tally.keep(Found(self.reader.name, bad.kind, str(bad), name, data, self.chunk))

    def _shrink(self, found: Found) -> Found:
        """Leave out each line without which the misbehaviour stays."""
        self.pursued.add(found.kind)
        lines = found.data.splitlines(keepends=True)
        at = len(lines) - 1 if len(found.data) < MAX_SHRINK_BYTES else 0
        while at > 0:
            fewer = [*lines[:at], *lines[at + 1 :]]
            try:
                self._read(found.name, b"".join(fewer))
            except Bad as bad:
                lines = fewer if bad.kind == found.kind else lines
            at -= 1
        return Found(found.reader, found.kind, found.told, found.name, b"".join(lines), found.chunk)


def script(reader: Reader) -> st.SearchStrategy[list[Edit]]:
    """Return a strategy of lists of edits, to be made one after another."""
    one = DAMAGE if reader.damage else EDITS[reader.of]
    return st.lists(one, min_size=1, max_size=MAX_SCRIPT_EDITS)


def hunt(
    reader: Reader, chunk: int, *, examples: int = SCRIPTS_PER_CHUNK, room: Path | None = None
) -> Tally:
    """Play a chunk, in the folder `room` or in a temporary one."""
    with watched.temporary_folder() as folder:
        return Hunt(reader, chunk, room or folder).play(examples)


def cut_at_each(reader: Reader, data: bytes, lengths: Sequence[int], room: Path) -> Tally:
    """Read the first `length` bytes of a capture, for each of `lengths`."""
    played = Hunt(reader, None, room)
    for length in lengths:
        with contextlib.suppress(Bad):
            played._try("cut.jsonl", data[:length])
    return played.tally
