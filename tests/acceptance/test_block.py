"""Block verification: exactly the target's joint law, and at least as much accepted."""

from itertools import product

import pytest
import torch

from exact import list_outcomes
from specprof.acceptance.block import Block
from specprof.acceptance.rejection import Rejection
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal

START = torch.tensor([6, 4, 4, 2]).double() / 16
AFTER = torch.tensor([[1, 1, 6, 8], [4, 4, 4, 4], [9, 1, 3, 3], [2, 7, 5, 2]]).double() / 16
DRAFT_START = torch.tensor([2, 10, 2, 2]).double() / 16
DRAFT_AFTER = torch.tensor([[8, 2, 2, 4], [1, 5, 5, 5], [6, 6, 2, 2], [4, 4, 4, 4]]).double() / 16
EYE = torch.eye(4, dtype=torch.float64)


def rounds(rule, monkeypatch, *, sampled=True):
    """Yield share, drafted pair, tip and the law of the token after, over all drafts and coins."""
    for one, two in product(range(4), repeat=2):
        laws = torch.stack([DRAFT_START, DRAFT_AFTER[one]])
        share = float(laws[0, one] * laws[1, two])
        proposal = Proposal(
            tokens=torch.tensor([one, two]), logits=None, draft_probs=laws if sampled else None
        )
        rows = torch.cat([START[None], AFTER[[one, two]]])
        for chance, (tip, after) in list_outcomes(rule, rows, proposal, monkeypatch):
            yield share * chance, (one, two), tip, after


def joint(rule, monkeypatch, **given):
    """The law [vocab, vocab, vocab] of the first three tokens; later rounds follow the target."""
    told = torch.zeros(4, 4, 4, dtype=torch.float64)
    for share, (one, two), tip, after in rounds(rule, monkeypatch, **given):
        if tip < 0:
            told += share * after[:, None, None] * AFTER[:, :, None] * AFTER[None]
        elif tip == 0:
            told[one] += share * after[:, None] * AFTER
        else:
            told[one, two] += share * after
    return told


@pytest.mark.parametrize("sampled", [True, False])
def test_the_joint_law_of_three_tokens_is_exactly_the_targets(sampled, monkeypatch):
    """Two drafted and the one after them, drawn or deterministic."""
    wanted = START[:, None, None] * AFTER[:, :, None] * AFTER[None]
    assert torch.allclose(joint(Block(), monkeypatch, sampled=sampled), wanted, atol=1e-12)


def test_it_accepts_no_less_than_token_by_token_and_here_more(monkeypatch):
    """Expected accepted tokens a round, both exactly."""
    expected = [
        sum(share * (tip + 1) for share, _, tip, _ in rounds(rule, monkeypatch))
        for rule in (Rejection(), Block())
    ]
    assert expected[1] > expected[0] + 0.01


def test_the_papers_two_token_example_is_its_own(monkeypatch):
    """Target (1/3, 2/3), draft (2/3, 1/3), two drafts: 10/9 token by token, 11/9 as a block."""
    target, draft = torch.tensor([1, 2]).double() / 3, torch.tensor([2, 1]).double() / 3
    for rule, wanted in ((Rejection(), 10 / 9), (Block(), 11 / 9)):
        told = 0.0
        for tokens in product(range(2), repeat=2):
            proposal = Proposal(
                tokens=torch.tensor(tokens), logits=None, draft_probs=draft.repeat(2, 1)
            )
            share = float(draft[tokens[0]] * draft[tokens[1]])
            for chance, (tip, _) in list_outcomes(rule, target.repeat(3, 1), proposal, monkeypatch):
                told += share * chance * (tip + 1)
        assert told == pytest.approx(wanted, abs=1e-9)


def test_what_each_token_is_owed_is_how_often_it_stands(monkeypatch):
    """Given the whole block: the exact chances, place by place, of those reached."""
    for one, two in product(range(4), repeat=2):
        laws = torch.stack([DRAFT_START, DRAFT_AFTER[one]])
        proposal = Proposal(tokens=torch.tensor([one, two]), logits=None, draft_probs=laws)
        rows = torch.cat([START[None], AFTER[[one, two]]])
        stands = [0.0, 0.0]
        for chance, (tip, _) in list_outcomes(Block(), rows, proposal, monkeypatch):
            for place in range(tip + 1):
                stands[place] += chance
        owed = Block().owed_each(rows[:2], laws, proposal.tokens).tolist()
        assert owed[0] == pytest.approx(stands[0], abs=1e-9)
        if stands[0]:
            assert owed[1] == pytest.approx(stands[1] / stands[0], abs=1e-9)


def test_equal_laws_accept_the_whole_block():
    """Draft = target: nothing is spare and nothing lost, and every token stands."""
    law, generator = ProcessedLaw(1.0), torch.Generator().manual_seed(0)
    for _ in range(100):
        probs = law.probs(torch.randn(3, 20, generator=generator))
        tokens = law.draw(probs, generator)
        proposal = Proposal(tokens=tokens, logits=probs.log(), draft_probs=probs)
        target = torch.cat([probs, probs[:1]]).log()
        assert Block().decide(target, proposal, law, generator)[0] == 2


def test_an_empty_block_emits_one_token_of_the_target():
    """A drafter that found nothing to draft leaves a plain step."""
    law, generator = ProcessedLaw(0.0), torch.Generator()
    nothing = Proposal(tokens=torch.empty(0, dtype=torch.int64), logits=None, draft_probs=None)
    assert Block().decide(START[None].log(), nothing, law, generator).tolist() == [-1, 0]
