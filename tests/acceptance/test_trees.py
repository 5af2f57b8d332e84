"""Recursive rejection over siblings keeps the target's law, exactly, whatever was drafted how."""

import pytest
import torch

from exact import list_families, list_outcomes
from specprof.acceptance.rejection import Rejection
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal

TARGET = [[6, 4, 4, 2], [1, 1, 6, 8], [4, 4, 4, 4], [9, 1, 3, 3], [2, 7, 5, 2]]
TARGET = torch.tensor(TARGET).double() / 16
DRAFT = torch.tensor([[3, 9, 2, 2], [8, 2, 2, 4]]).double() / 16
EYE = torch.eye(4, dtype=torch.float64)


def family(tokens, laws):
    """Siblings that all follow the last committed token."""
    return Proposal(
        tokens=torch.tensor(tokens),
        logits=None,
        draft_probs=laws,
        parents=torch.full((len(tokens),), -1),
        family=len(tokens),
    )


def emitted(tokens, laws, monkeypatch, rule=None):
    """The law [vocab] of the first token emitted, given these siblings."""
    target = TARGET[: len(tokens) + 1]
    told = torch.zeros(4, dtype=torch.float64)
    for share, (tip, after) in list_outcomes(
        rule or Rejection(), target, family(tokens, laws), monkeypatch
    ):
        told += share * (after if tip < 0 else EYE[tokens[tip]])
    return told


@pytest.mark.parametrize("width", [1, 2, 3])
def test_siblings_drawn_without_replacement_leave_the_target_law_exactly(width, monkeypatch):
    """Summed over every ordered draw and every coin; each declared without its elders."""
    told = sum(
        share * emitted(tokens, laws, monkeypatch)
        for share, tokens, laws in list_families(DRAFT[0], width)
    )
    assert torch.allclose(told, TARGET[0], atol=1e-12)


def test_siblings_drawn_with_replacement_leave_the_target_law_exactly(monkeypatch):
    """Twins too: each declared under the whole law (SpecInfer's multi-step rule)."""
    told = torch.zeros(4, dtype=torch.float64)
    laws = DRAFT[:1].repeat(2, 1)
    for one in range(4):
        for two in range(4):
            share = DRAFT[0, one] * DRAFT[0, two]
            told += share * emitted((one, two), laws, monkeypatch)
    assert torch.allclose(told, TARGET[0], atol=1e-12)


@pytest.mark.parametrize("tokens", [(0,), (2, 0), (1, 3, 2), (0, 1, 2, 3)])
def test_any_deterministic_siblings_leave_the_target_law_exactly(tokens, monkeypatch):
    """Whichever they are: so a tree may be cut by the draft's own values."""
    assert torch.allclose(emitted(tokens, None, monkeypatch), TARGET[0], atol=1e-12)


def test_the_law_of_all_the_draft_has_is_still_exact(monkeypatch):
    """Four siblings of a law with three tokens: the last comes for certain and is held for that."""
    law = torch.tensor([8, 4, 4, 0]).double() / 16
    told = torch.zeros(4, dtype=torch.float64)
    for share, tokens, laws in list_families(law, 3):
        certain = torch.cat([laws, EYE[3:]])
        told += share * emitted((*tokens, 3), certain, monkeypatch)
    assert torch.allclose(told, TARGET[0], atol=1e-12)


def test_two_levels_leave_the_joint_target_law_exactly(monkeypatch):
    """The eldest of two siblings has a child: the law of the first two tokens is the target's.

    Both models are Markov: row i of a table is the law after token i. Where a round ends after one
    token the second is a later round's, whose law is the target's by the tests above.
    """
    start, after_token, draft_after = TARGET[0], TARGET[1:], DRAFT[[0, 1, 1, 0]]
    joint = torch.zeros(4, 4, dtype=torch.float64)
    for share, (one, two), laws in list_families(DRAFT[0], 2):
        for child in range(4):
            proposal = Proposal(
                tokens=torch.tensor([one, two, child]),
                logits=None,
                draft_probs=torch.cat([laws, draft_after[one : one + 1]]),
                parents=torch.tensor([-1, -1, 0]),
                family=2,
            )
            rows = torch.cat([start[None], after_token[[one, two, child]]])
            part = share * float(draft_after[one, child])
            for chance, (tip, after) in list_outcomes(Rejection(), rows, proposal, monkeypatch):
                if tip < 0:
                    joint += part * chance * after[:, None] * after_token
                elif tip == 2:
                    joint[one, child] += part * chance
                else:
                    joint[(one, two)[tip]] += part * chance * after
    assert torch.allclose(joint, start[:, None] * after_token, atol=1e-12)


def test_a_chain_told_as_a_tree_is_decided_as_a_chain():
    """The same coins, the same laws: the same tip, and the same token after it."""
    law = ProcessedLaw(1.0)
    generator = torch.Generator().manual_seed(3)
    same = 0
    for seed in range(200):
        laws = torch.randn(3, 9, generator=generator).softmax(-1)
        target = torch.randn(4, 9, generator=generator)
        tokens = law.draw(laws, generator)
        chain = Proposal(tokens=tokens, logits=laws.log(), draft_probs=laws)
        line = Proposal(
            tokens=tokens,
            logits=laws.log(),
            draft_probs=laws,
            parents=torch.tensor([-1, 0, 1]),
            family=1,
        )
        verdicts = []
        for proposal in (chain, line):
            coins = torch.Generator().manual_seed(seed)
            verdicts.append(int(Rejection().decide(target, proposal, law, coins)[0]))
        same += verdicts[0] == verdicts[1]
    assert same == 200


def test_equal_laws_reject_no_eldest():
    """With target = draft the first sibling always stands, and no residual is divided by zero."""
    law, generator = ProcessedLaw(1.0), torch.Generator().manual_seed(0)
    probs = law.probs(torch.randn(1, 50, generator=generator))
    for _ in range(200):
        eldest = law.draw(probs, generator)
        without = probs.scatter(1, eldest[:, None], 0.0)
        laws = torch.cat([probs, without / without.sum()])
        tokens = torch.cat([eldest, law.draw(laws[1:], generator)])
        verdict = Rejection().decide(
            probs.log().repeat(3, 1), family(tokens.tolist(), laws), law, generator
        )
        assert verdict[0] == 0
