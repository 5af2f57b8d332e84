"""Bounds that a line of a capture must keep because of other lines, and the lines that break them.

Types (`amounts`) bound a line's own numbers as it is decoded. The bounds here depend on the header
and on the lines before. They let pass what a faulty engine may do, such as a round that commits
too many tokens, or a cache of the wrong length: the rules judge that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from specprof import limits
from specprof.amounts import MOST_DRAFTED, MOST_EXACT
from specprof.errors import UsageError
from specprof.plain import brief, format_count
from specprof.records import Burst, End, Event, Header, Overlaps, Round

MOST_PHASES = 32
"""Different names of top-level spans: each name becomes a column as long as the run."""
MOST_NAMES = 4096
"""Different names of all spans: a run with `detail` module has several for every layer."""
MAX_KEPT_REASONS = 1000
"""Damaged lines whose number and reason are kept; further lines are only counted."""
MAX_REASON_CHARS = 160
"""Characters."""
_CHAIN = list(range(-1, MOST_DRAFTED))
_LOOKED_INTO = frozenset({Header, Overlaps, End})
"""Rare kinds of events, which `Bounds.all_hold` leaves to `Bounds.find_violation`."""


class Damage(NamedTuple):
    """A line that could not be read as an event."""

    line: int
    """Its number in the file, from 1."""
    reason: str


class Damaged:
    """The lines that could not be read: their number, and the reasons of the first of them."""

    def __init__(self, lines: Iterable[Damage] = ()) -> None:
        self.first = list(lines)
        self._count = len(self.first)
        self.of: int | None = None
        """All lines of the file, with the header and the damaged ones; None: not known."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Damage]:
        return iter(self.first)

    def add(self, line: int, reason: Callable[[], str]) -> None:
        """Count a damaged line; keep the reasons of the first `MAX_KEPT_REASONS` lines."""
        self._count += 1
        if len(self.first) < MAX_KEPT_REASONS:
            self.first.append(Damage(line, brief(reason(), MAX_REASON_CHARS)))

    def copy(self) -> "Damaged":
        """Return a copy, which lines that are added later do not change."""
        copied = Damaged(self.first)
        copied._count, copied.of = self._count, self.of
        return copied

    def describe_first(self, shown: int = 3) -> list[str]:
        """Return a text for each of the first `shown` lines, and for how many more there are."""
        words = [f"line {each.line:,}: {each.reason}" for each in self.first[:shown]]
        more = len(self) - len(words)
        return [*words, f"and {more:,} more"] if more > 0 else words

    @property
    def total(self) -> bool:
        """Whether nothing but the header could be read."""
        return self._count > 0 and self._count + 1 == self.of

    def sentence(self) -> str:
        """Return how many lines of how many could not be read, and why; empty if all could."""
        if not self._count:
            return ""
        if self.total:
            lines = format_count(self._count, "line")
            count = f"none of the {lines} after the header could be read"
            count = count if self._count > 1 else "the only line after the header could not be read"
        else:
            of = "" if self.of is None else f" of {self.of:,}"
            count = f"{self._count:,}{of} {'line' if not of and self._count == 1 else 'lines'}"
            count += " could not be read"
        return f"{count} ({'; '.join(self.describe_first())})"


class Bounds:
    """Checks the events of one capture, in order, against the header and the events before."""

    def __init__(self, header: Header) -> None:
        self._batch = header.spec.settings.batch
        self._names: set[str] = set()
        self._phases: set[str] = set()
        self._spent_ns = 0
        self._ended = False

    def all_hold(self, events: Sequence[Event], line: int) -> bool:
        """Return whether all these events keep the bounds.

        `line` is the line of the file in which the first of them stands. True takes the events in.
        After False, ask `find_violation` about each: some may be sound, and none was taken in.
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
            if one.accepted > drafted or (
                parents != _CHAIN[:drafted] and _has_late_parent(parents)
            ):
                return False
            if one.sequence >= batch or one.shared > batch or one.burst > one.index + line:
                return False
        return True

    def find_violation(self, event: Event, line: int) -> str | None:
        """Return which bound an event breaks, None if it breaks none; then it is taken in.

        `line` is the line of the file in which it stands, from 1.
        """
        if self._ended:
            return "it stands behind the run's end line"
        if type(event) is Round:
            return self._find_round_violation(event, line)
        if isinstance(event, Overlaps):
            return _find_overlaps_violation(event)
        if isinstance(event, Burst) and event.sequence >= self._batch:
            return self._sequence_violation(event.sequence)
        self._ended = isinstance(event, End)
        return "it is another header" if isinstance(event, Header) else None

    def _find_round_violation(self, one: Round, line: int) -> str | None:
        drafted, parents = len(one.drafted), [each.parent for each in one.drafted]
        broken: str | None = None
        if one.accepted > drafted:
            broken = f"{one.accepted} accepted of {drafted} drafted tokens"
        elif parents != _CHAIN[:drafted] and _has_late_parent(parents):
            broken = "a drafted token hangs on one that comes later"
        elif one.sequence >= self._batch:
            broken = self._sequence_violation(one.sequence)
        elif one.shared > self._batch:
            broken = f"its time is shared by {one.shared:,} of {self._batch:,} sequences"
        elif one.burst > one.index + line:  # each has a round or a line of its own
            broken = f"burst {one.burst:,} can't have begun by round {one.index:,}"
        elif not (self._knows_names(one) or self._take_names(one)):
            broken = f"more than {MOST_PHASES} names of phases, or {MOST_NAMES:,} of spans"
        elif self._spent_ns + one.wall_ns > MOST_EXACT:
            broken = "its time makes the rounds last longer than 104 days"
        else:
            self._spent_ns += one.wall_ns
        return broken

    def _sequence_violation(self, sequence: int) -> str:
        return f"sequence {sequence:,} of a batch of {self._batch:,}"

    def _knows_names(self, one: Round) -> bool:
        return self._names.issuperset([span.name for span in one.spans])

    def _take_names(self, one: Round) -> bool:
        phases = self._phases | {span.name for span in one.spans if span.parent is None}
        names = self._names | {span.name for span in one.spans}
        if len(phases) > MOST_PHASES or len(names) > MOST_NAMES:
            return False
        self._phases, self._names = phases, names
        return True


def find_header_trouble(header: Header) -> str | None:
    """Return which setting in a header no run can have; None if a run can have them all."""
    try:
        limits.check_values(msgspec.structs.asdict(header.spec.settings))
    except UsageError as trouble:
        return f"{trouble.title}; {trouble.hint}"
    return None


def _find_overlaps_violation(read: Overlaps) -> str | None:
    lengths = {len(each) for each in (read.overlap, read.agree, read.target_nll, read.draft_nll)}
    return None if len(lengths) == 1 else "its lists are of unequal lengths"


def _has_late_parent(parents: list[int]) -> bool:
    """Return whether some parent does not come before its child."""
    return any(parent >= place for place, parent in enumerate(parents))
