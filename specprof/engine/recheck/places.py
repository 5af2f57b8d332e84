"""The rows that a run decided by, each with its place in the bare text and its token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from specprof.engine.heads.reference import Line
from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.records import Observed, Round

Pair = tuple[Round, UsedLogits | None]
"""A round, and the raw logits that it acted on; None if they weren't kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the run's logits, and its place in the bare text."""

    round: int
    number: int
    """Draft index, or slot of an emitted token."""
    line: Line
    token: int
    target: torch.Tensor | None
    """[vocab] raw, as the run acted on it; None if it wasn't kept."""
    draft: torch.Tensor | None = None
    seen: Observed | None = None
    accepted: bool = False
    """Whether the token was drafted and accepted, so that the next row follows it too."""

    @property
    def context(self) -> int:
        """Tokens before it."""
        return sum(self.line)


def find_places(
    pairs: Sequence[Pair], first: int, committed: Sequence[int]
) -> tuple[list[Place], list[Place]]:
    """Return the reached drafted tokens and the emitted tokens that follow committed text.

    first: tokens before the burst.
    """
    last = len(committed)
    drafted = (each for pair in pairs for each in _drafted_places(*pair, committed))
    emitted = (each for pair in pairs for each in _emitted_places(*pair))
    within = [
        [each for each in some if first <= each.context <= last] for some in (drafted, emitted)
    ]
    return within[0], within[1]


def _drafted_places(
    played: Round, used: UsedLogits | None, committed: Sequence[int]
) -> Iterator[Place]:
    """Yield each reached drafted token that is no younger sibling and follows committed text."""
    levels = [-1]  # of the chain's end, then of each drafted token
    in_text = [True]  # the same: whether the text holds it and its ancestors
    parents: set[int] = set()
    for index, one in enumerate(played.drafted):
        levels.append(levels[one.parent + 1] + 1)
        at, follows = played.context + levels[-1], in_text[one.parent + 1]
        in_text.append(follows and at < len(committed) and committed[at] == one.token)
        if follows and one.reached and one.parent not in parents:
            line = played.context, levels[-1]
            target, draft = row_of(used, one.parent + 1), row_of(used, index, of_draft=True)
            yield Place(played.index, index, line, one.token, target, draft, one.seen)
        parents.add(one.parent)


def _emitted_places(played: Round, used: UsedLogits | None) -> Iterator[Place]:
    """Yield each committed token, with the row that it was judged or drawn by."""
    rows = [0, *(node + 1 for node, one in enumerate(played.drafted) if one.accepted)]
    for slot, token in enumerate(played.emitted):
        target = row_of(used, rows[slot]) if slot < len(rows) else None  # a broken round emits more
        line, accepted = (played.context + slot, 0), slot + 1 < len(rows)
        yield Place(played.index, slot, line, token, target, accepted=accepted)


def row_of(used: UsedLogits | None, number: int, *, of_draft: bool = False) -> torch.Tensor | None:
    """Return a row [vocab] of the logits that a round acted on; None if it wasn't kept."""
    if used is None:
        return None
    logits = used.draft if of_draft else used.target
    return logits[number] if logits is not None and number < logits.shape[0] else None
