"""Checks what a user's loop hands over: counts, token ids, parents; and each event made of them.

Integers of Python, numpy and torch are accepted. Anything else is refused at once, in the call that
handed it over. An event is checked as it is written, which may be a few rounds later.
"""

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

import msgspec
import torch

from specprof.amounts import MAX_COUNT, MAX_NAME_CHARS, MOST_DRAFTED, MOST_IDS
from specprof.bounds import Bounds
from specprof.errors import UsageError
from specprof.plain import as_json
from specprof.reasons import reason_of
from specprof.records import Event

Given = Any
"""What a caller hands over."""
_DECODER = msgspec.json.Decoder(Event)
PADDING = -1
"""Stands for a draft that was not made."""
MAX_SHOWN_CHARS = 60
"""Characters quoted of it."""


def read_ids(given: Given, what: str) -> list[int]:
    """Return token ids or other indices; raise UsageError if one is no integer."""
    try:
        found = [index(each) for each in given]
    except TypeError:
        title = f"{what} is {_show_given(given)}, which are no token ids"
        raise UsageError(title, "pass integers in one row: a list, an array or a tensor") from None
    beyond = next((each for each in found if not -MAX_COUNT <= each < MOST_IDS), None)
    if beyond is not None:
        title = f"{what} holds {_show_given(beyond)}, which is no token id"
        raise UsageError(title, "ids have 32 bits")
    return found


def drop_padding(tokens: Sequence[int]) -> list[int]:
    """Return a chain without the -1 at its end, which engines of fixed shape fill in."""
    made = next((place for place, each in enumerate(tokens) if each == PADDING), len(tokens))
    return list(tokens[:made]) if all(each == PADDING for each in tokens[made:]) else list(tokens)


def read_optional_count(given: SupportsIndex | None, what: str) -> int | None:
    """Return a count; None if none was given."""
    return None if given is None else read_count(given, what)


def read_count(given: SupportsIndex, what: str) -> int:
    """Return a count; raise UsageError if it is no integer, or negative."""
    try:
        count = index(given)
    except TypeError:
        count = -1
    if count < 0:
        title = f"{what} is {_show_given(given)}, which is no count"
        raise UsageError(title, "pass a whole number from 0 on; leave out what isn't known")
    return count


def read_path(accepted: Given) -> list[int]:
    """Return the indices of the accepted drafts, from a count or from indices."""
    if getattr(accepted, "ndim", 0) or isinstance(accepted, list | tuple | range):
        return read_ids(accepted, "accepted")
    try:
        count = index(accepted)
    except TypeError:
        count = -1
    if not 0 <= count <= MOST_DRAFTED:
        title = f"accepted is {_show_given(accepted)}, which is no number of drafted tokens"
        raise UsageError(title, "pass how many stand, or of a tree the indices of those that do")
    return list(range(count))


def read_parents(parents: Given, count: int) -> list[int]:
    """Return each drafted token's parent; raise UsageError unless all come before their children.

    parents: [count], -1 for the last committed token.
    """
    found = read_ids(parents, "parents")
    if len(found) != count or any(not -1 <= parent < node for node, parent in enumerate(found)):
        title = f"parents are {found}, of {count} drafted tokens"
        hint = "give each token its parent: -1, or the index of a token drafted before it"
        raise UsageError(title, hint)
    return found


def check_vocabulary(tokens: Sequence[int], what: str, target: torch.Tensor | None) -> None:
    """Refuse token ids that the rows [n, vocab] have no column for."""
    if target is None:
        return
    known = target.shape[-1]
    outside = [each for each in tokens if not 0 <= each < known]
    if outside:
        title = f"{what} token {outside[0]} is outside the {known:,} ids that the rows hold"
        hint = "map the draft's ids to the target's, and fill narrower rows with -inf"
        raise UsageError(title, hint)


def check_span_name(name: str) -> None:
    """Refuse a name that no reader of captures would take."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
        title = f"a span is called {_show_given(name)}"
        raise UsageError(title, f"pass a short text, of {MAX_NAME_CHARS} characters at most")


def check_request(request: object, others: Sequence[str | None]) -> str | None:
    """Return a request's id as text; refuse one that an open burst of `others` has."""
    name = None if request is None else str(request)
    if name is not None and not 0 < len(name) <= MAX_NAME_CHARS:
        title = f"a request is called {_show_given(request)}"
        raise UsageError(title, f"pass a short id, of {MAX_NAME_CHARS} characters at most")
    if others and (name is None or None in others):
        hint = "end its `with` block first, or give each an id: log.burst(prompt, request=...)"
        raise UsageError("a burst is open already", hint)
    if name in others:
        title = f"a burst of request {_show_given(request)} is open already"
        raise UsageError(title, "give each its own id")
    return name


def check_readable(event: Event) -> None:
    """Refuse, with UsageError, an event that no reader would take back: its line would be lost.

    Such are a span's name of thousands of characters, a million committed tokens, infinite numbers.
    """
    line = as_json(event)
    try:
        _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise _refusal(event, reason_of(trouble, line, Event)) from None


def check_bounds(event: Event, bounds: Bounds, line: int) -> None:
    """Refuse, with UsageError, an event that contradicts the lines before it in the capture.

    Such are a 33rd name of a phase, or a sequence beyond the batch. `line` is where it would stand.
    """
    violation = bounds.find_violation(event, line)
    if violation is not None:
        raise _refusal(event, violation)


def _refusal(event: Event, reason: str) -> UsageError:
    title = f"a {type(event).__name__.lower()} can't be recorded: {reason}"
    return UsageError(title, "pass what your loop really did; what came before is kept")


def _show_given(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 1]}…"
