"""How the numbers of sampled rounds lie in one flat tensor: column after column, places first.

The field names below are the columns, in their order. The same two classes hold the columns while
they are computed (`Number` is then a list of tensors, the pieces of a column) and one row of them
on the host (`Number` is then a float).
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

import torch

Number = TypeVar("Number")
Pieces = list[torch.Tensor]
"""The tensors [any] whose concatenation is a column."""


class PlaceNumbers(NamedTuple, Generic[Number]):
    """The numbers of a place: of one drafted token, and of the two laws it was judged by."""

    draft_prob: Number
    target_prob: Number
    overlap: Number
    """Acceptance owed before the token was drawn."""
    likelier: Number
    """In the draft's law, the mass of likelier tokens less that of unlikelier ones."""
    owed: Number | None = None
    """Acceptance owed given the token; None where the rule needs no more than the two
    probabilities for it (`Acceptance.owed_given`). No column is packed then."""


class FinalNumbers(NamedTuple, Generic[Number]):
    """The numbers of a round's final token, and of the weights that token must be drawn by."""

    target_prob: Number
    draft_prob: Number
    """0 for a bonus, which the draft has no part in."""
    likelier: Number
    """The weight of likelier tokens less that of unlikelier ones."""
    lower: Number
    """The weight of tokens with lower ids."""
    own: Number
    total: Number


def pack_columns(places: PlaceNumbers[Pieces], finals: FinalNumbers[Pieces]) -> torch.Tensor:
    """Return [n] all columns, one after another."""
    return torch.cat([*chain.from_iterable(column for column in (*places, *finals) if column)])


def unpack_rows(
    numbers: Sequence[float], places: int, rounds: int
) -> tuple[Iterator[PlaceNumbers[float]], Iterator[FinalNumbers[float]]]:
    """Return the rows of what `pack_columns` packed: one for each place, and one for each round."""
    end = len(numbers) - len(FinalNumbers._fields) * rounds
    of_places, of_finals = _rows(numbers[:end], places), _rows(numbers[end:], rounds)
    return (PlaceNumbers(*row) for row in of_places), (FinalNumbers(*row) for row in of_finals)


def _rows(numbers: Sequence[float], count: int) -> Iterator[tuple[float, ...]]:
    """Return the `count` rows of columns that lie one after another."""
    columns = [numbers[start : start + count] for start in range(0, len(numbers), count)]
    return zip(*columns, strict=True)
