"""The law tokens are drawn from: temperature, top-k, top-p, applied in that order.

The order is transformers' own (temperature, then top-k, then top-p), so that a peer run is
comparable. Softmax runs in float32: rounding to bfloat16 makes ties (theory 4.1).
"""

import torch

from specprof.extend import Law, Proposal


class ProcessedLaw(Law):
    """Softmax of processed logits; at temperature 0 all mass on the first choice."""

    def __init__(self, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> None:
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.greedy = temperature == 0

    @property
    def filters(self) -> bool:
        """Whether it rules ids out."""
        return self.top_k > 0 or self.top_p < 1

    @torch.inference_mode()
    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Return [..., vocab] float32 probabilities of [..., vocab] raw logits."""
        if self.greedy:
            best = logits.argmax(-1, keepdim=True)
            return torch.zeros_like(logits, dtype=torch.float32).scatter_(-1, best, 1.0)
        logits = logits.float() / self.temperature
        if self.top_k > 0:
            kth = logits.topk(min(self.top_k, logits.shape[-1]), dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < kth, -torch.inf)
        if self.top_p < 1:
            logits = _nucleus(logits, self.top_p)
        return logits.softmax(-1)

    @torch.inference_mode()
    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one token per row of [rows, vocab] weights, which need not sum to 1.

        An exponential race: the smallest of Exp(1)/weight wins with probability proportional to its
        weight, and nothing waits for the device as a multinomial draw would.
        """
        if self.greedy:
            return probs.argmax(-1)
        race = torch.empty_like(probs).exponential_(generator=generator)
        return (probs / race).argmax(-1)


class PairedLaw(Law):
    """The target's law, beside another by which drafts are drawn: a user's loop may have both."""

    def __init__(self, target: Law, draft: Law) -> None:
        self.target = target
        self.draft = draft
        self.greedy = target.greedy

    @property
    def of_draft(self) -> Law:
        """The law by which drafts are drawn."""
        return self.draft

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Return [..., vocab] float32 probabilities of [..., vocab] raw logits of the target."""
        return self.target.probs(logits)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one token per row of [rows, vocab] weights, as the target does."""
        return self.target.draw(probs, generator)


def laws_drafted_from(proposal: Proposal, target_probs: torch.Tensor) -> torch.Tensor:
    """Return [N+1, vocab] the laws drafted from, in the shape of the target's.

    The last row belongs to no drafted token and is all zero: nothing is subtracted from a bonus.
    """
    laws = torch.zeros_like(target_probs)
    if proposal.draft_probs is None:  # deterministic: all mass on the drafted token
        laws[:-1].scatter_(1, proposal.tokens[:, None], 1.0)
    else:
        laws[:-1] = proposal.draft_probs
    return laws


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest likeliest tokens whose mass reaches `top_p`, in [..., vocab] logits."""
    ordered, order = logits.sort(-1, descending=True)
    mass_before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    dropped = (mass_before >= top_p).scatter(-1, order, mass_before >= top_p)
    return logits.masked_fill(dropped, -torch.inf)
