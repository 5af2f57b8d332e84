"""Computes probabilities and overlaps of drafted and final tokens from laws, on the device."""

from collections.abc import Sequence

import torch

from specprof.engine.observe.layout import Pieces, PlaceNumbers
from specprof.extend import Acceptance


def place_numbers(
    target_probs: torch.Tensor,
    draft_probs: torch.Tensor,
    tokens: torch.Tensor,
    rule: Acceptance,
    counts: Sequence[int],
) -> PlaceNumbers[Pieces]:
    """Return the columns [places], from [places, vocab] laws and [places] drafted tokens.

    `counts` are the places of each round. A rule that judges a round's drafts jointly is asked
    about one round at a time.
    """
    own = draft_probs.gather(1, tokens[:, None])  # [places, 1]
    parts = [[target_probs], [draft_probs], [tokens]]
    if rule.joint:
        parts = [[*each.split_with_sizes([*counts])] for (each,) in parts]
    owed = [rule.owed_each(*each) for each in zip(*parts, strict=True)]
    return PlaceNumbers(
        draft_prob=[own[:, 0]],
        target_prob=[target_probs.gather(1, tokens[:, None])[:, 0]],
        overlap=[rule.owed(target_probs, draft_probs)],
        likelier=[_likelier_weight(draft_probs, own)],
        owed=[each for each in owed if each is not None] or None,
    )


def final_standing(
    weights: torch.Tensor, tokens: torch.Tensor
) -> tuple[Pieces, Pieces, Pieces, Pieces]:
    """Return how [rounds, 1] tokens stand in [rounds, vocab] weights: four columns [rounds].

    They are the last four fields of `FinalNumbers`, in order.
    """
    own = weights.gather(1, tokens)  # [rounds, 1]
    lower = torch.arange(weights.shape[1], device=weights.device) < tokens
    below = (weights * lower).sum(-1)
    return [_likelier_weight(weights, own)], [below], [own[:, 0]], [weights.sum(-1)]


def _likelier_weight(weights: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return [rows] the weight of tokens above `own` [rows, 1] less that of tokens below it.

    In a law this is 2 * rank - 1, where the rank is the mass above plus half that of ties.
    """
    return (weights - own).sign_().mul_(weights).sum(-1)
