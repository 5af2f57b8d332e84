"""Checks the numbers that a user's loop hands over: counts, token ids, parents.

Integers of Python, numpy and torch are accepted. Anything else is refused at once, in the call that
handed it over: the round itself is read only much later.
"""

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

import torch

from specprof.errors import UsageError

Given = Any
"""What a caller hands over, before it is checked."""
MAX_SHOWN_CHARS = 60
"""Characters that an error quotes of it."""


def read_ids(given: Given, what: str) -> list[int]:
    """Return token ids or other indices; raise UsageError if one is no integer."""
    try:
        return [index(each) for each in given]
    except TypeError:
        title = f"{what} is {_show_given(given)}, which are no token ids"
        raise UsageError(title, "pass integers in one row: a list, an array or a tensor") from None


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
    if count < 0:
        title = f"accepted is {_show_given(accepted)}, which is no number of drafted tokens"
        raise UsageError(title, "pass how many were accepted, or of a tree the accepted indices")
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


def _show_given(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 1]}…"
