"""Rows of logits as a user hands them over: checks, copies and converts them to tensors."""

import torch

from specprof.errors import NOT_FINITE, SpecprofError, UsageError
from specprof.recording.models import Rows


def copy_rows(
    given: Rows, whose: str, count: int, *, kept: int | None = None
) -> torch.Tensor | None:
    """Return a copy of the rows, [count, vocab]: the loop may write over its own buffers.

    Of these the first `kept` are returned, None: all of them.

    Raises UsageError if there are not `count` rows, SpecprofError if one holds a NaN.
    """
    if given is None:
        return None
    found = to_tensor(given, whose).detach()
    if found.ndim == 3 and found.shape[0] == 1:  # noqa: PLR2004 - a batch of one
        found = found[0]
    if found.ndim != 2 or found.shape[0] != count:  # noqa: PLR2004 - rows, vocabulary
        title = f"the {whose}'s rows have the shape {list(found.shape)}"
        raise UsageError(
            title, f"pass {count} rows over the whole vocabulary: {describe_due_rows(whose)}"
        )
    found = found[:kept].clone()
    if bool(found.isnan().any()):
        raise SpecprofError(f"the {whose}'s {NOT_FINITE}", "the rounds recorded before are kept")
    return found


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

    Raises UsageError if a probability is negative, or a row sums to 0.
    """
    if probs is None:
        return None
    found = to_tensor(probs, whose).detach().float()
    if bool((found < 0).any()) or bool((found.sum(-1) <= 0).any()):
        title = f"the {whose}'s probabilities are negative, or a row of them sums to 0"
        raise UsageError(title, "pass the softmax's result, after temperature and truncation")
    return found.log()
