"""Rejection sampling keeps the target's law: exactly on a grid of coins, then by chi-square."""

from itertools import product

import pytest
import torch
from scipy.stats import chisquare

from specprof.acceptance import rejection
from specprof.acceptance.rejection import Rejection
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal
from tables import ScriptedLaw

TARGET = torch.tensor([[6, 4, 4, 2], [1, 1, 6, 8], [4, 4, 4, 4]], dtype=torch.float64) / 16
DRAFT = torch.tensor([[4, 8, 2, 2], [8, 2, 2, 4]], dtype=torch.float64) / 16
COINS = [(step + 0.5) / 16 for step in range(16)]
"""Every target/draft ratio below 1 is a multiple of 1/16: this grid integrates a coin exactly."""


def decide(tokens, coins, choice, monkeypatch, draft=DRAFT, target=TARGET):
    depth = len(tokens)
    proposal = Proposal(
        tokens=torch.tensor(tokens, dtype=torch.int64),
        logits=None if draft is None else draft[:depth].log(),
        draft_probs=None if draft is None else draft[:depth],
    )
    column = torch.tensor(coins, dtype=torch.float64)[:, None]
    monkeypatch.setattr(rejection.torch, "rand", lambda *_, **__: column)
    law = ScriptedLaw([choice])
    verdict = Rejection().decide(target[: depth + 1].log(), proposal, law, torch.Generator())
    weights = law.weights[0][0]
    return int(verdict[0]) + 1, weights / weights.sum()


def test_one_drafted_token_leaves_the_target_law_exactly(monkeypatch):
    """Summed over every draft and every coin, the first emitted token has the target's law."""
    emitted = torch.zeros(4, dtype=torch.float64)
    for token, coin in product(range(4), COINS):
        accepted, after = decide([token], [coin], 0, monkeypatch)
        share = DRAFT[0, token] / len(COINS)
        emitted += share * (torch.eye(4, dtype=torch.float64)[token] if accepted else after)
    assert torch.allclose(emitted, TARGET[0], atol=1e-12)


def test_two_drafted_tokens_leave_the_joint_target_law_exactly(monkeypatch):
    """The joint law of the first two emitted tokens is the product of the target's rows.

    Where the first is rejected the second comes from a later round, whose law the test above
    has shown to be the target's.
    """
    joint = torch.zeros(4, 4, dtype=torch.float64)
    eye = torch.eye(4, dtype=torch.float64)
    for first, second in product(range(4), repeat=2):
        for coins in product(COINS, repeat=2):
            accepted, after = decide([first, second], coins, 0, monkeypatch)
            share = DRAFT[0, first] * DRAFT[1, second] / len(COINS) ** 2
            if accepted == 0:
                joint += share * after[:, None] * TARGET[1]
            else:
                joint += share * eye[first][:, None] * (eye[second] if accepted == 2 else after)
    assert torch.allclose(joint, TARGET[0][:, None] * TARGET[1], atol=1e-12)


def test_the_bonus_is_drawn_from_the_target(monkeypatch):
    """After an all-accepted round nothing is subtracted from the target's last row."""
    accepted, after = decide([0, 3], [0.0, 0.0], 0, monkeypatch)
    assert accepted == 2
    assert torch.allclose(after, TARGET[2])


def test_a_deterministic_draft_owes_the_target_probability(monkeypatch):
    """A draft without a law is accepted with the target's probability of its token."""
    taken = [decide([0], [coin], 0, monkeypatch, draft=None)[0] for coin in COINS]
    assert sum(taken) / len(COINS) == pytest.approx(TARGET[0, 0].item())
    _, after = decide([0], [0.99], 0, monkeypatch, draft=None)
    assert after[0] == 0
    assert torch.allclose(after[1:], TARGET[0, 1:] / TARGET[0, 1:].sum())


def test_equal_laws_never_reject():
    """With target = draft no coin in [0, 1) rejects, and no residual is divided by zero."""
    law = ProcessedLaw(1.0)
    generator = torch.Generator().manual_seed(0)
    probs = law.probs(torch.randn(1, 50, generator=generator))
    for _ in range(200):
        token = law.draw(probs, generator)
        proposal = Proposal(tokens=token, logits=probs.log(), draft_probs=probs)
        verdict = Rejection().decide(probs.log().repeat(2, 1), proposal, law, generator)
        assert verdict[0] == 0


def test_sampled_output_follows_the_target_by_chi_square():
    """20,000 first tokens against the target's row; false alarm 1 in 1,000, seed fixed."""
    law = ProcessedLaw(1.0)
    generator = torch.Generator().manual_seed(11)
    counts = torch.zeros(4)
    draft = DRAFT[:1].float()
    for _ in range(20_000):
        token = law.draw(draft, generator)
        proposal = Proposal(tokens=token, logits=draft.log(), draft_probs=draft)
        tip, final = Rejection().decide(TARGET[:2].log(), proposal, law, generator).tolist()
        counts[final if tip < 0 else int(token)] += 1
    assert chisquare(counts.numpy(), 20_000 * TARGET[0].numpy()).pvalue > 1e-3


def test_owed_is_the_shared_mass_and_the_clipped_ratio():
    """Owed before the draw: sum of minima. Owed given the token: min(1, target/draft)."""
    rule = Rejection()
    assert torch.allclose(rule.owed(TARGET[:2], DRAFT), torch.tensor([12, 8]).double() / 16)
    ratios = [rule.owed_given(*pair) for pair in ((0.2, 0.4), (0.9, 0.3), (0.1, 0.0), (0.0, 0.0))]
    assert ratios == pytest.approx([0.5, 1.0, 1.0, 0.0])
