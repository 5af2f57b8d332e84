"""Answers of the models to the bare text: one plain forward each, without any cache."""

from collections.abc import Sequence

import torch

from specprof.engine.heads.reference import HeadReference, Line


def draft_answers(
    draft: torch.nn.Module | None, committed: Sequence[int], lines: Sequence[Line]
) -> torch.Tensor | None:
    """Return [lines, vocab] float32 host logits of the draft, nan where it has no answer."""
    if draft is None:
        return None
    if isinstance(draft, HeadReference):
        return draft.answers(committed, lines)
    first = min(start for start, _ in lines)
    return plain_forward(draft, committed, first)[[sum(line) - first for line in lines]]


@torch.inference_mode()
def plain_forward(model: torch.nn.Module, committed: Sequence[int], first: int) -> torch.Tensor:
    """Return [rows, vocab] float32 host logits; row i answers the first `first + i` tokens."""
    device = next(model.parameters()).device
    tokens = torch.tensor([list(committed)], device=device)
    keep = len(committed) - first + 1
    logits: torch.Tensor = model(tokens, use_cache=False, logits_to_keep=keep).logits[0]
    return logits.float().cpu()
