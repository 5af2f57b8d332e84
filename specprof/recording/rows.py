"""Rows of logits as a user hands them over: checks, copies and converts them to tensors."""

from dataclasses import dataclass
from typing import Literal

import torch

from specprof.errors import UsageError
from specprof.recording.models import Rows

UNLAWFUL = torch.inf
"""Stands in each place of a row of probabilities that is no law; a law's logarithms are below."""
MAX_EXCESS = 0.05
"""How far the sum of a law may be from 1: half precision rounds many small probabilities."""


def copy_rows(
    given: Rows, whose: str, count: int, *, kept: int | None = None
) -> torch.Tensor | None:
    """Return a copy of the rows, [count, vocab]: the loop may write over its own buffers.

    Of these the first `kept` are returned, None: all of them.

    Raises UsageError if there are not `count` rows.
    """
    if given is None:
        return None
    found = to_tensor(given, whose).detach()
    if found.ndim == 3 and found.shape[0] == 1:  # noqa: PLR2004 - a batch of one
        found = found[0]
    if found.ndim != 2 or found.shape[0] != count or not found.shape[1]:  # noqa: PLR2004 - rows, vocabulary
        title = f"the {whose}'s rows have the shape {list(found.shape)}"
        raise UsageError(
            title, f"pass {count} rows over the whole vocabulary: {describe_due_rows(whose)}"
        )
    return found[:kept].clone()


@dataclass(frozen=True, slots=True)
class Lawless:
    """Rows of which no law can be made."""

    whose: Literal["target", "draft"]
    finite: bool
    """Whether they are probabilities and numbers, but negative or with a wrong sum."""


def find_lawless(
    target: torch.Tensor | None, draft: torch.Tensor | None, *, as_laws: bool
) -> Lawless | None:
    """Return whose rows, [n, vocab] each, hold NaN or infinity, or rule every id out; None: none.

    `as_laws`: they come from `log_probs`.
    """
    for whose, rows in (("target", target), ("draft", draft)):
        if rows is None:
            continue
        largest = rows.amax(-1)
        if not bool(largest.isfinite().all()):
            odd = largest[~largest.isfinite()]
            finite = as_laws and bool((odd == UNLAWFUL).all())
            return Lawless("target" if whose == "target" else "draft", finite)
    return None


def describe_due_rows(whose: str) -> str:
    """Return which rows are needed, in words."""
    if whose == "target":
        return "the logits after the last committed token, then after each drafted token"
    return "the logits that each drafted token was drawn from"


def to_tensor(given: Rows, whose: str) -> torch.Tensor:
    """Return rows as a tensor; raise UsageError if they are none."""
    hint = "pass a tensor, an array, or lists of one length"
    try:
        found = torch.as_tensor(given).to_dense()
    except (TypeError, ValueError, RuntimeError) as trouble:
        title = f"the {whose}'s rows are no rows of numbers: {trouble}"
        raise UsageError(title, hint) from trouble
    if found.is_meta or found.is_complex():
        kind = "complex numbers" if found.is_complex() else "on no device, without numbers"
        raise UsageError(f"the {whose}'s rows are {kind}", hint)
    return found


def log_probs(probs: Rows, whose: str) -> torch.Tensor | None:
    """Return logits whose softmax at temperature 1 is [n, vocab] `probs`.

    A row that is no law, because it is negative somewhere or doesn't sum to 1, becomes UNLAWFUL.
    """
    if probs is None:
        return None
    found = to_tensor(probs, whose).detach().float()
    sums = found.sum(-1, keepdim=True)
    lawful = (found >= 0).all(-1, keepdim=True) & ((sums - 1).abs() <= MAX_EXCESS)
    logits = found.log().masked_fill(~lawful, UNLAWFUL)
    return logits.masked_fill(~sums.isfinite(), torch.nan)
