"""One token after another: linear speculation."""

import torch

from specprof.engine.decoder import Decoder
from specprof.extend import Proposal, Shape


class Chain(Shape):
    """K steps of the draft, each after the last (arXiv 2211.17192, algorithm 1)."""

    tree = False

    def grow(self, draft: Decoder, fed: torch.Tensor, depth: int) -> Proposal:
        """Feed [n] the tokens the draft lacks, then draft up to `depth`, one token a step."""
        parts, law = self.parts, self.parts.law
        tokens, logits, laws = [], [], []
        confidences: list[float] = []
        for _ in range(depth):
            with parts.watch.span("step"):
                row = draft.feed(fed)[-1:]  # [1, vocab]
                drawn_from = row if law.greedy else law.probs(row)
                fed = law.draw(drawn_from, parts.generator)  # [1]
            tokens.append(fed)
            logits.append(row)
            laws.append(drawn_from)
            if parts.policy.watches:
                sure = row.softmax(-1) if law.greedy else drawn_from
                confidences.append(sure[0, fed].item())
                if not parts.policy.go_on(confidences):
                    break
        return Proposal(
            tokens=torch.cat(tokens),
            logits=torch.cat(logits),
            draft_probs=None if law.greedy else torch.cat(laws),
        )
