"""The accept step of a chain in parts, so that a fault can break one part and leave the others.

Unbroken, it is speculative sampling (arXiv 2211.17192, algorithm 1), as in
`acceptance/rejection.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.sampling import laws_drafted_from
from specprof.extend import Law, Proposal


class Step:
    """Compares coins with ratios, then draws the correction or the bonus.

    A coin is a uniform random number. A fault overrides one of the methods.
    """

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2] int64, as `Acceptance.decide`."""
        target_probs = self.target_law(law).probs(target_logits)  # [K+1, vocab]
        draft_probs = laws_drafted_from(proposal, target_probs)  # [K+1, vocab]
        tokens = proposal.tokens[:, None]  # [K, 1]
        size = (tokens.shape[0] + 1, 1)  # a bonus gets a coin too: no coin was used up before it
        coins = torch.rand(size, generator=generator, device=tokens.device)
        target_prob, draft_prob = (
            probs[:-1].gather(1, tokens) for probs in (target_probs, draft_probs)
        )  # [K, 1]
        accepted = self.accepts(coins[:-1], target_prob, draft_prob).cumprod(0).sum(0)  # [1]
        rows = target_probs.index_select(0, accepted), draft_probs.index_select(0, accepted)
        coin = coins.index_select(0, accepted)
        final = self.draw_final(*rows, coin, law, generator)  # [1]
        return torch.cat([accepted - 1, final])

    def target_law(self, law: Law) -> Law:
        """Return the law that the target is sampled by: the run's."""
        return law

    def accepts(
        self, coins: torch.Tensor, target_prob: torch.Tensor, draft_prob: torch.Tensor
    ) -> torch.Tensor:
        """Return [K, 1] bool: whether each coin is below its token's target/draft ratio.

        All three arguments are [K, 1], the last two the probabilities of the drafted tokens.
        """
        return coins * draft_prob < target_prob

    def draw_final(
        self,
        target_probs: torch.Tensor,
        draft_probs: torch.Tensor,
        coin: torch.Tensor,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [1] the correction, or the bonus where `draft_probs` is all zero.

        Both probabilities are [1, vocab]; `coin` [1, 1] is the coin that rejected the token.
        """
        del coin
        return law.draw(self.residual_weights(target_probs, draft_probs), generator)

    def residual_weights(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor
    ) -> torch.Tensor:
        """Return [1, vocab] the final token's weights: the target's law less the draft's."""
        left = (target_probs - draft_probs).clamp_min(0)
        return torch.where(left.sum() > 0, left, target_probs)


Decide = Callable[[torch.Tensor, Proposal, Law, torch.Generator], torch.Tensor]


@contextmanager
def replace_decide(run: Run, make_decide: Callable[[Lane], Decide]) -> Iterator[None]:
    """Replace the `decide` of every sequence's acceptance rule by what `make_decide` returns.

    The declared rule still says what acceptance is owed, and still observes each round.
    """
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(swapped(lane.loop.acceptance, decide=make_decide(lane)))
        yield
