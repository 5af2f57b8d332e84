"""Chains above temperature 0: the places of many rounds are computed at once."""

from collections.abc import Sequence
from itertools import accumulate

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.judged import is_straight, reached_nodes
from specprof.engine.observe.layout import FinalNumbers, Pieces, PlaceNumbers
from specprof.engine.observe.probabilities import final_standing, place_numbers
from specprof.engine.observe.round_group import SampledGroup
from specprof.engine.transfer import on_device
from specprof.extend import Acceptance, Law


class SampledChains(SampledGroup):
    """Rounds that drafted chains: those that end with a correction first, then those with a bonus.

    A round's places are the tokens that were reached. Where the rule judges them jointly, they are
    all tokens.
    """

    def __init__(self, rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance) -> None:
        """Take chains that were drawn from `law` and judged by `acceptance`."""
        super().__init__(rounds, law, acceptance)
        self.places = [
            range(len(one.drafted))
            if acceptance.joint or not is_straight(one)
            else reached_nodes(one)
            for one in rounds
        ]

    def compute(self) -> tuple[PlaceNumbers[Pieces], FinalNumbers[Pieces]]:
        """Return the columns over all places of all rounds, and over all final tokens."""
        rounds, counts = self.rounds, [len(each) for each in self.places]
        starts = list(accumulate(counts, initial=0))
        fallen = sum(one.accepted < len(one.drafted) for one in rounds)
        where = [starts[number] + one.accepted for number, one in enumerate(rounds[:fallen])]
        tokens = [one.proposal.tokens[:count] for one, count in zip(rounds, counts, strict=True)]
        token = torch.cat(tokens)
        draft_probs, target_probs, after = self._laws(counts, fallen, token)
        numbers = place_numbers(target_probs, draft_probs, token, self.acceptance, counts)
        ends = [*where, *(one.final for one in rounds)]
        turns, finals = on_device(ends, token.device).split_with_sizes([fallen, len(rounds)])
        final = finals[:, None]  # [rounds, 1]
        here, instead = target_probs[turns], draft_probs[turns]  # [fallen, vocab]
        due = after
        if fallen:
            due = torch.cat([self.acceptance.left(here, instead, token[turns]), after])
        of_target = torch.cat([here, after]).gather(1, final)[:, 0]
        of_draft = instead.gather(1, final[:fallen])[:, 0]
        no_draft = of_target.new_zeros(len(rounds) - fallen)
        return numbers, FinalNumbers([of_target], [of_draft, no_draft], *final_standing(due, final))

    def _laws(
        self, counts: Sequence[int], fallen: int, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return [places, vocab] the draft's laws and the target's, and [rounds - fallen, vocab].

        The last are the target's laws after each round's last drafted token: a bonus comes from it.
        """
        pairs = [*zip(self.rounds, counts, strict=True)]
        target = [one.target_logits[:count] for one, count in pairs]
        target += [one.target_logits[-1:] for one in self.rounds[fallen:]]
        draft = [logits[:n] for one, n in pairs if (logits := one.proposal.logits) is not None]
        places, bonuses = sum(counts), len(self.rounds) - fallen
        if draft and self.law.of_draft is not self.law:
            found, after = self.law.probs(torch.cat(target)).split_with_sizes([places, bonuses])
            return self.law.of_draft.probs(torch.cat(draft)), found, after
        probs = self.law.probs(torch.cat([*draft, *target]))
        if draft:
            drawn, found, after = probs.split_with_sizes([places, places, bonuses])
            return drawn, found, after
        found, after = probs.split_with_sizes([places, bonuses])
        certain = torch.zeros_like(found).scatter_(1, tokens[:, None], 1.0)
        return certain, found, after  # all mass on the drafted token
