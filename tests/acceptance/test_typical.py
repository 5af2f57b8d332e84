"""Typical acceptance: Medusa's threshold, its longest path, and its own admission."""

import math

import pytest
import torch

from specprof.acceptance.greedy import Greedy
from specprof.acceptance.typical import DELTA, EPSILON, Typical
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal

SURE = [0.9, 0.05, 0.03, 0.02]
FLAT = [0.25, 0.25, 0.25, 0.25]


def decide(rows, tokens, parents=None, temperature=1.0):
    proposal = Proposal(
        tokens=torch.tensor(tokens),
        logits=None,
        draft_probs=None,
        parents=None if parents is None else torch.tensor(parents),
        family=3,
    )
    law, generator = ProcessedLaw(temperature), torch.Generator().manual_seed(1)
    return int(Typical().decide(torch.tensor(rows).log(), proposal, law, generator)[0])


def test_a_token_stands_above_the_lower_of_the_two_thresholds():
    """Where the target is sure 0.09 decides; where it is not, 0.3 * exp(-entropy)."""
    assert decide([SURE, FLAT], [0]) == 0
    assert decide([SURE, FLAT], [1]) == -1
    assert DELTA * math.exp(-math.log(4)) < EPSILON
    assert decide([FLAT, SURE], [3]) == 0
    wide = [0.08, *[0.92 / 23] * 23]
    entropy = -sum(each * math.log(each) for each in wide)
    assert EPSILON > 0.08 > DELTA * math.exp(-entropy)
    assert decide([wide, wide], [0]) == 0


def test_a_chain_ends_at_the_first_token_that_does_not_stand():
    """What comes after it is not looked at."""
    assert decide([FLAT, SURE, FLAT], [2, 0]) == 1
    assert decide([FLAT, SURE, FLAT, FLAT], [2, 1, 0]) == 0


def test_of_a_tree_the_longest_path_is_taken_and_the_first_of_equals():
    """Depth first, then order: whatever the siblings' probabilities."""
    rows = [FLAT, SURE, FLAT, FLAT, FLAT]
    assert decide(rows, [0, 1, 1, 2], [-1, -1, 0, 1]) == 3
    assert decide([FLAT] * 3, [0, 1], [-1, -1]) == 0


def test_at_temperature_nought_it_is_greedy():
    """All mass is on the first choice, and only that exceeds a threshold."""
    generator = torch.Generator().manual_seed(2)
    law = ProcessedLaw(0.0)
    for _ in range(50):
        logits = torch.randn(4, 3, generator=generator)
        proposal = Proposal(
            tokens=torch.randint(3, (3,), generator=generator), logits=None, draft_probs=None
        )
        told = [rule.decide(logits, proposal, law, generator) for rule in (Typical(), Greedy())]
        assert torch.equal(*told)


def test_owed_is_the_drafts_mass_on_what_would_stand():
    """Before the draw; given the token it is 0 or 1."""
    target, draft = torch.tensor([SURE, FLAT]), torch.tensor([FLAT, SURE])
    assert Typical().owed(target, draft).tolist() == pytest.approx([0.25, 1.0])
    each = Typical().owed_each(target, draft, torch.tensor([1, 1]))
    assert each.tolist() == [0, 1]
    assert Typical().left(target, draft, torch.tensor([1, 1])) is target


def test_it_does_not_claim_to_be_lossless():
    """A contract test holds the others to their claim; this one makes none."""
    assert not Typical.lossless
