"""Rows of logits as a user hands them over: checked, copied, made tensors."""

import torch

from specprof.errors import NOT_FINITE, SpecprofError, UsageError
from specprof.recording.models import Rows


def rows(given: Rows, whose: str, count: int) -> torch.Tensor | None:
    """Return [count, vocab] of what was given, a copy: a loop may write over its buffers.

    Raises UsageError where there are other rows than `count`, SpecprofError at a NaN.
    """
    if given is None:
        return None
    found = tensor(given, whose).detach().clone()
    if found.ndim == 3 and found.shape[0] == 1:  # noqa: PLR2004 - a batch of one
        found = found[0]
    if found.ndim != 2 or found.shape[0] != count:  # noqa: PLR2004 - rows, vocabulary
        title = f"the {whose}'s rows have the shape {list(found.shape)}"
        raise UsageError(title, f"{count} rows are due, of the whole vocabulary: {due(whose)}")
    if bool(found.isnan().any()):
        raise SpecprofError(f"the {whose}'s {NOT_FINITE}", "what was recorded is kept")
    return found


def due(whose: str) -> str:
    """Say which rows are due."""
    if whose == "target":
        return "after the last committed token, then after each drafted one"
    return "of each drafted token's place"


def tensor(given: Rows, whose: str) -> torch.Tensor:
    """Return rows as a tensor; raise UsageError where they are none."""
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


def logs(probs: Rows, whose: str) -> torch.Tensor | None:
    """Return logits whose softmax at temperature 1 is [n, vocab] `probs`.

    Raises UsageError at a negative probability, or a row without any.
    """
    if probs is None:
        return None
    found = tensor(probs, whose).detach().float()
    if bool((found < 0).any()) or bool((found.sum(-1) <= 0).any()):
        title = f"the {whose}'s probabilities are negative, or a row of them sums to 0"
        raise UsageError(title, "pass what the softmax gave, after temperature and truncation")
    return found.log()
