"""A smaller model of the same vocabulary drafts a chain, one token a step."""

import torch

from specprof.engine.decoder import on_device
from specprof.engine.stopwatch import Stopwatch
from specprof.errors import UsageError
from specprof.extend import Drafter, Proposal


class DraftModel(Drafter):
    """Linear speculation (Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318)."""

    def propose(
        self, committed: list[int], depth: int, generator: torch.Generator, watch: Stopwatch
    ) -> Proposal:
        """Draft `depth` tokens from the same law the target is sampled by.

        Feeds first whatever of `committed` the cache lacks: one token as a rule, two after an
        all-accepted round, whose last drafted token was never fed (meta-pytorch/gpt-fast#107).
        """
        draft = self.draft
        if draft is None:
            raise UsageError("the drafter draft-model needs a draft model", "name one with --draft")
        fed = on_device(committed[draft.length :], draft.device)
        tokens, logits, laws = [], [], []
        for _ in range(depth):
            with watch.span("step"):
                row = draft.feed(fed)[-1:]  # [1, vocab]
                law = row if self.law.greedy else self.law.probs(row)
                fed = self.law.draw(law, generator)  # [1]
            tokens.append(fed)
            logits.append(row)
            laws.append(law)
        if not tokens:
            empty = torch.empty(0, dtype=torch.int64, device=draft.device)
            return Proposal(tokens=empty, logits=None, draft_probs=None)
        laws_drawn_from = None if self.law.greedy else torch.cat(laws)
        return Proposal(
            tokens=torch.cat(tokens), logits=torch.cat(logits), draft_probs=laws_drawn_from
        )
