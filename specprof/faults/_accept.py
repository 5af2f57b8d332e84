"""The accept step of a chain taken apart, so that a fault can break one part and leave the others.

Whole, it is speculative sampling (arXiv 2211.17192, algorithm 1), as `acceptance/rejection.py` is.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.sampling import laws_drafted_from
from specprof.extend import Law, Proposal


class Step:
    """Coins against ratios, then the correction or bonus; a fault overrides one of the methods."""

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`."""
        target_probs = self.target_law(law).probs(target_logits)  # [K+1, vocab]
        draft_probs = laws_drafted_from(proposal, target_probs)  # [K+1, vocab]
        tokens = proposal.tokens[:, None]  # [K, 1]
        size = (tokens.shape[0] + 1, 1)  # one more: no coin fell before a bonus
        coins = torch.rand(size, generator=generator, device=tokens.device)
        owed, own = (laws[:-1].gather(1, tokens) for laws in (target_probs, draft_probs))
        accepted = self.stands(coins[:-1], owed, own).cumprod(0).sum(0)  # [1]
        rows = target_probs.index_select(0, accepted), draft_probs.index_select(0, accepted)
        coin = coins.index_select(0, accepted)
        final = self.final(*rows, coin, law, generator)  # [1]
        return torch.cat([accepted - 1, final])

    def target_law(self, law: Law) -> Law:
        """Return the law the target is sampled by: the run's."""
        return law

    def stands(self, coins: torch.Tensor, owed: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return [K, 1] whether each token's coin is below its ratio of two probabilities."""
        return coins * own < owed

    def final(
        self,
        target_probs: torch.Tensor,
        draft_probs: torch.Tensor,
        coin: torch.Tensor,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [1] the correction, or the bonus where `draft_probs` is all zero.

        Both laws are [1, vocab]; `coin` [1, 1] is the one the rejected token fell by.
        """
        del coin
        return law.draw(self.residual(target_probs, draft_probs), generator)

    def residual(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [1, vocab] the weights of the final token: what the draft left of the target."""
        left = (target_probs - draft_probs).clamp_min(0)
        return torch.where(left.sum() > 0, left, target_probs)


Decide = Callable[[torch.Tensor, Proposal, Law, torch.Generator], torch.Tensor]


@contextmanager
def deciding(run: Run, decided: Callable[[Lane], Decide]) -> Iterator[None]:
    """Have every sequence's rounds decided by what `decided` makes for it.

    What is owed, and what `observe` makes of a round, stays the declared rule's own.
    """
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(swapped(lane.loop.acceptance, decide=decided(lane)))
        yield
