"""What each stage minimises: next-token loss, and closeness to the target's own distribution."""

import torch
from torch.nn import functional
from transformers import GPTNeoXForCausalLM

OVERLAP_WEIGHT = 1.0
"""Weight of the total variation beside the KL term: acceptance is one minus total variation."""


def logits_of(
    model: GPTNeoXForCausalLM, tokens: torch.Tensor, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Return [rows, length, vocab] float32 logits, computed in bfloat16 where that is faster.

    With `positions` a full causal mask is passed as well: from position ids alone transformers
    would take every jump for the start of another packed sequence and mask across it.
    """
    device = next(model.parameters()).device
    tokens = tokens.to(device)
    mask = None
    if positions is not None:
        positions = positions.to(device)
        square = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=device)
        mask = square.tril()[None, None]
    with torch.autocast(device.type, torch.bfloat16):
        out = model(tokens, attention_mask=mask, position_ids=positions, use_cache=False)
    logits: torch.Tensor = out.logits.float()
    return logits


def next_token_loss(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of each token given those before; [rows, length, vocab]."""
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def distance_from_target(draft_logits: torch.Tensor, target_logits: torch.Tensor) -> torch.Tensor:
    """Return KL(target, draft) plus the total variation, both averaged over positions.

    Both logits are [rows, length, vocab]. Expected acceptance of a drafted token is one minus the
    total variation (Leviathan et al., arXiv 2211.17192, section 3.2).
    """
    draft_logs = functional.log_softmax(draft_logits, -1)
    target_logs = functional.log_softmax(target_logits, -1)
    target_probs = target_logs.exp()
    divergence = (target_probs * (target_logs - draft_logs)).sum(-1)
    variation = 0.5 * (target_probs - draft_logs.exp()).abs().sum(-1)
    return (divergence + OVERLAP_WEIGHT * variation).mean()
