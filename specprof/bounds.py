"""What the rest of a capture allows a line to say, and which lines said something else.

A line's own numbers are bounded by their types (`amounts`) as it is decoded. Here are the bounds
that rest on other lines: the header, and how much was read before. Nothing is judged that a wrong
engine may do: more tokens than a round should commit, a cache of the wrong length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from specprof import limits
from specprof.amounts import MOST_DRAFTED, MOST_EXACT
from specprof.errors import UsageError
from specprof.plain import brief, counted
from specprof.records import Burst, End, Event, Header, Overlaps, Round

MOST_PHASES = 32
"""Names of top-level spans: each is a column as long as the run."""
MOST_NAMES = 4096
"""Names of spans at all: a run with `detail` module has some for every layer."""
KEPT = 1000
"""Damaged lines whose number and reason are kept; of further ones, only how many there are."""
LONGEST_REASON = 160
"""Characters."""
_CHAIN = list(range(-1, MOST_DRAFTED))
_LOOKED_INTO = frozenset({Header, Overlaps, End})
"""Rare kinds of events, which are only judged one by one."""


class Damage(NamedTuple):
    """A line that could not be read as an event."""

    line: int
    """Its number in the file, from 1."""
    reason: str


class Damaged:
    """The lines that could not be read: how many there are, and the first of them with reasons."""

    def __init__(self, lines: Iterable[Damage] = ()) -> None:
        self.first = list(lines)
        self._count = len(self.first)
        self.of: int | None = None
        """Lines of the file that were read, the header's and these included; None: not known."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Damage]:
        return iter(self.first)

    def add(self, line: int, reason: Callable[[], str]) -> None:
        """Count a line; ask for its reason, and keep it with the number, while there are few."""
        self._count += 1
        if len(self.first) < KEPT:
            self.first.append(Damage(line, brief(reason(), LONGEST_REASON)))

    def copy(self) -> "Damaged":
        """Return what is known now; later lines leave it alone."""
        copied = Damaged(self.first)
        copied._count, copied.of = self._count, self.of
        return copied

    def in_words(self, shown: int = 3) -> list[str]:
        """Return the first few in words, and how many more there are."""
        words = [f"line {each.line:,}: {each.reason}" for each in self.first[:shown]]
        more = len(self) - len(words)
        return [*words, f"and {more:,} more"] if more > 0 else words

    @property
    def total(self) -> bool:
        """Whether nothing but the header could be read."""
        return self._count > 0 and self._count + 1 == self.of

    def sentence(self) -> str:
        """Say how many lines of how many could not be read, and why; empty where all could."""
        if not self._count:
            return ""
        if self.total:
            lines = counted(self._count, "line")
            count = f"none of the {lines} after the header could be read"
            count = count if self._count > 1 else "the only line after the header could not be read"
        else:
            of = "" if self.of is None else f" of {self.of:,}"
            count = f"{self._count:,}{of} {'line' if not of and self._count == 1 else 'lines'}"
            count += " could not be read"
        return f"{count} ({'; '.join(self.in_words())})"


class Bounds:
    """Says of each event of one capture, in order, what in it can't be; None where all can."""

    def __init__(self, header: Header) -> None:
        self._batch = header.spec.settings.batch
        self._names: set[str] = set()
        self._phases: set[str] = set()
        self._spent_ns = 0
        self._ended = False

    def all_hold(self, events: Sequence[Event], line: int) -> bool:
        """Whether all of these can be; the first stands in that line of the file, the rest behind.

        Quicker than to ask for each of them, which is what to do where this is False: some may be
        fine then, and nothing is settled.
        """
        rounds = [each for each in events if type(each) is Round]
        others = [each for each in events if type(each) is not Round]
        if self._ended or not _LOOKED_INTO.isdisjoint(map(type, others)):
            return False
        if any(type(each) is Burst and each.sequence >= self._batch for each in others):
            return False
        spent_ns = self._spent_ns + sum([one.wall_ns for one in rounds])
        names = {span.name for one in rounds for span in one.spans}
        if spent_ns > MOST_EXACT or not names <= self._names:
            return False
        if not self._counts_hold(rounds, line):
            return False
        self._spent_ns = spent_ns
        return True

    def _counts_hold(self, rounds: Sequence[Round], line: int) -> bool:
        batch = self._batch
        for one in rounds:
            drafted, parents = len(one.drafted), [each.parent for each in one.drafted]
            if one.accepted > drafted or (parents != _CHAIN[:drafted] and _astray(parents)):
                return False
            if one.sequence >= batch or one.shared > batch or one.burst > one.index + line:
                return False
        return True

    def broken(self, event: Event, line: int) -> str | None:
        """Return what in an event can't be; it stands in that line of the file, from 1."""
        if self._ended:
            return "it stands behind the run's end line"
        if type(event) is Round:
            return self._of_round(event, line)
        if isinstance(event, Overlaps):
            return _of_overlaps(event)
        if isinstance(event, Burst) and event.sequence >= self._batch:
            return self._of_sequence(event.sequence)
        self._ended = isinstance(event, End)
        return "it is another header" if isinstance(event, Header) else None

    def _of_round(self, one: Round, line: int) -> str | None:
        drafted, parents = len(one.drafted), [each.parent for each in one.drafted]
        broken: str | None = None
        if one.accepted > drafted:
            broken = f"{one.accepted} accepted of {drafted} drafted tokens"
        elif parents != _CHAIN[:drafted] and _astray(parents):
            broken = "a drafted token hangs on one that comes later"
        elif one.sequence >= self._batch:
            broken = self._of_sequence(one.sequence)
        elif one.shared > self._batch:
            broken = f"its time is shared by {one.shared:,} of {self._batch:,} sequences"
        elif one.burst > one.index + line:  # each has a round or a line of its own
            broken = f"burst {one.burst:,} can't have begun by round {one.index:,}"
        elif not (self._knows_names(one) or self._takes_names(one)):
            broken = f"more than {MOST_PHASES} names of phases, or {MOST_NAMES:,} of spans"
        elif self._spent_ns + one.wall_ns > MOST_EXACT:
            broken = "its time makes the rounds last longer than 104 days"
        else:
            self._spent_ns += one.wall_ns
        return broken

    def _of_sequence(self, sequence: int) -> str:
        return f"sequence {sequence:,} of a batch of {self._batch:,}"

    def _knows_names(self, one: Round) -> bool:
        return self._names.issuperset([span.name for span in one.spans])

    def _takes_names(self, one: Round) -> bool:
        phases = self._phases | {span.name for span in one.spans if span.parent is None}
        names = self._names | {span.name for span in one.spans}
        if len(phases) > MOST_PHASES or len(names) > MOST_NAMES:
            return False
        self._phases, self._names = phases, names
        return True


def trouble_of(header: Header) -> str | None:
    """Return what in a header no run can have asked for; None where all can be."""
    try:
        limits.check_given(msgspec.structs.asdict(header.spec.settings))
    except UsageError as trouble:
        return f"{trouble.title}; {trouble.hint}"
    return None


def _of_overlaps(read: Overlaps) -> str | None:
    lengths = {len(each) for each in (read.overlap, read.agree, read.target_nll, read.draft_nll)}
    return None if len(lengths) == 1 else "its lists are of unequal lengths"


def _astray(parents: list[int]) -> bool:
    """Whether some parent does not come before its child."""
    return any(parent >= place for place, parent in enumerate(parents))
