"""Sample and match: what comes out is the target's own draws, on chains and on trees."""

from itertools import product

import pytest
import torch

from specprof.acceptance.exact_match import ExactMatch
from specprof.extend import Law, Proposal

TARGET = torch.tensor([[6, 4, 4, 2], [1, 1, 6, 8], [4, 4, 4, 4]]).double() / 16
DRAFT = torch.tensor([[4, 8, 2, 2], [8, 2, 2, 4]]).double() / 16


class Scripted(Law):
    """Draws what it is told for each row."""

    greedy = False

    def __init__(self, drawn):
        self.drawn = torch.tensor(drawn)

    def probs(self, logits):
        return logits.softmax(-1)

    def draw(self, probs, generator):
        assert torch.allclose(probs, TARGET[: len(probs)])
        return self.drawn


def emitted(tokens, drawn, parents=None):
    """Return the tokens a round emits where the target draws `drawn` at its places."""
    proposal = Proposal(
        tokens=torch.tensor(tokens),
        logits=None,
        draft_probs=None,
        parents=None if parents is None else torch.tensor(parents),
        family=2,
    )
    verdict = ExactMatch().decide(TARGET.log(), proposal, Scripted(drawn), torch.Generator())
    tip, final = verdict.tolist()
    if parents is None:
        return [*tokens[: tip + 1], final]
    path = []
    while tip >= 0:
        path.append(tokens[tip])
        tip = parents[tip]
    return [*path[::-1], final]


def test_a_chain_emits_the_targets_own_draws_and_stops_at_the_first_other_one():
    """Over all drafts and draws: so the joint law is the target's, exactly."""
    for tokens in product(range(4), repeat=2):
        for drawn in product(range(4), repeat=3):
            told = emitted(tokens, drawn)
            assert told == list(drawn[: len(told)])
            agree = [a == b for a, b in zip(tokens, drawn, strict=False)]
            assert len(told) == 1 + (agree[0] + (agree[0] and agree[1]))


def test_a_tree_goes_where_the_targets_draws_lead():
    """Each of two siblings, or neither; a twin of the elder is never gone to."""
    assert emitted([2, 3], [3, 0, 1], [-1, -1]) == [3, 1]
    assert emitted([2, 3], [2, 0, 1], [-1, -1]) == [2, 0]
    assert emitted([2, 3], [1, 0, 1], [-1, -1]) == [1]
    assert emitted([2, 2], [2, 0, 1], [-1, -1]) == [2, 0]


def test_owed_is_the_chance_of_two_draws_to_agree():
    """Sum of target * draft before the draw; the target's probability after it."""
    rule = ExactMatch()
    told = rule.owed(TARGET[:2], DRAFT)
    assert torch.allclose(
        told, torch.tensor([(24 + 32 + 8 + 4) / 256, (8 + 2 + 12 + 32) / 256]).double()
    )
    assert rule.owed_given(0.25, 0.9) == pytest.approx(0.25)
    assert (told <= torch.minimum(TARGET[:2], DRAFT).sum(-1)).all()


def test_what_a_fallen_sibling_leaves_is_the_target_without_it():
    """The target's draw was another token: that is all its fall says."""
    left = ExactMatch().left(TARGET[:1], DRAFT[:1], torch.tensor([1]))
    assert torch.allclose(left * 16, torch.tensor([[6, 0, 4, 2]]).double())
