"""What a loop tells in numbers: counts, ids, parents; read strictly, whoever's integers they are.

An integer of numpy's or a tensor's is as good as Python's. What is none is refused where it is
told, because a round is read again only much later.
"""

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

import msgspec
import torch

from specprof.amounts import MOST, MOST_DRAFTED, MOST_IDS
from specprof.errors import UsageError
from specprof.plain import as_json
from specprof.reasons import reason_of
from specprof.records import Event

Told = Any
"""Whatever a caller hands over."""
_DECODER = msgspec.json.Decoder(Event)
LONGEST = 60
"""Characters quoted of it."""


def ids(given: Told, what: str) -> list[int]:
    """Return token ids, or other indices, as they were told; raise UsageError at what is none."""
    try:
        found = [index(each) for each in given]
    except TypeError:
        title = f"{what} is {_shown(given)}, which are no token ids"
        raise UsageError(title, "pass integers in one row: a list, an array or a tensor") from None
    beyond = next((each for each in found if not -MOST <= each < MOST_IDS), None)
    if beyond is not None:
        title = f"{what} holds {_shown(beyond)}, which is no token id"
        raise UsageError(title, "ids have 32 bits")
    return found


def known(given: SupportsIndex | None, what: str) -> int | None:
    """Return a count, None where none was told."""
    return None if given is None else counted(given, what)


def counted(given: SupportsIndex, what: str) -> int:
    """Return a count; raise UsageError where it is none, or negative."""
    try:
        count = index(given)
    except TypeError:
        count = -1
    if count < 0:
        title = f"{what} is {_shown(given)}, which is no count"
        raise UsageError(title, "pass a whole number from 0 on; leave out what isn't known")
    return count


def chosen(accepted: Told) -> list[int]:
    """Return the accepted drafts' indices of a count or of indices."""
    if getattr(accepted, "ndim", 0) or isinstance(accepted, list | tuple | range):
        return ids(accepted, "accepted")
    try:
        count = index(accepted)
    except TypeError:
        count = -1
    if not 0 <= count <= MOST_DRAFTED:
        title = f"accepted is {_shown(accepted)}, which is no number of drafted tokens"
        raise UsageError(title, "pass how many stand, or of a tree the indices of those that do")
    return list(range(count))


def ordered(parents: Told, count: int) -> list[int]:
    """Return each drafted token's parent; raise UsageError unless all come before their children.

    parents: [count], -1 for the last committed token.
    """
    found = ids(parents, "parents")
    if len(found) != count or any(not -1 <= parent < node for node, parent in enumerate(found)):
        title = f"parents are {found}, of {count} drafted tokens"
        hint = "one each: -1, or the index of a token drafted before it"
        raise UsageError(title, hint)
    return found


def inside(tokens: Sequence[int], what: str, target: torch.Tensor | None) -> None:
    """Refuse tokens that the rows [n, vocab] have no place for."""
    if target is None:
        return
    known = target.shape[-1]
    outside = [each for each in tokens if not 0 <= each < known]
    if outside:
        title = f"{what} token {outside[0]} is outside the {known:,} ids that the rows hold"
        hint = "map the draft's ids to the target's, and spread narrower rows out with -inf"
        raise UsageError(title, hint)


def check_readable(event: Event) -> None:
    """Refuse, with UsageError, an event that no reader would take back: its line would be lost.

    So do a span's name of thousands of characters, a million committed tokens, a row of infinities.
    """
    line = as_json(event)
    try:
        _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        kind = type(event).__name__.lower()
        title = f"a {kind} can't be recorded: {reason_of(trouble, line, Event)}"
        raise UsageError(
            title, "tell what your loop really did; what came before is kept"
        ) from None


def _shown(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
