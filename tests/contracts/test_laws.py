"""Every method that claims to be lossless samples the target's own law; wrong ones are found.

Table models of three tokens, whole engines, the first two tokens of many decodings against the
joint law written down: chi-square over nine cells. A true law fails once in 10,000 seeds; the seed
is fixed. Exact laws, coin by coin, stand in tests/acceptance.
"""

from dataclasses import replace

import pytest
import torch
from scipy.stats import chisquare

import engines
import proofs
from specprof.acceptance.rejection import Rejection
from specprof.drafters.perturbed_self import PerturbedSelf
from specprof.drafters.self import SelfDraft
from specprof.engine.setup.wiring import wire
from specprof.shapes import static_tree
from tables import TableDecoder

ERROR = 1e-4
DECODINGS = 1200
START = 2
TARGET = torch.tensor([[2, 9, 5], [8, 1, 7], [7, 7, 2]]) / 16
DRAFT = torch.tensor([[9, 2, 5], [3, 11, 2], [1, 4, 11]]) / 16
"""After the first token's rejection two tokens are left, in other shares than the draft's."""
WIDE = {"depth": 2, "widths": "2,2", "branch": 2, "nodes": 5, "temperature": 1.0, "seed": 20}
CASES = [
    pytest.param(cell, id="-".join(cell.values()))
    for cell in {repr(c): c for cases in proofs.sampled_laws().values() for c in cases}.values()
]


def loop(drafter=None, draft=DRAFT, **cell):
    return engines.loop(
        TableDecoder(TARGET.log()), TableDecoder(draft.log()), drafter, **(WIDE | cell)
    )


def p_value(run, decodings=DECODINGS):
    """Return the probability of such counts of the first two tokens under the target's law."""
    counts = torch.zeros(3, 3)
    for _ in range(decodings):
        run.target.rollback(0)
        run.drafter.rollback(1)
        committed, _ = engines.decode(run, new_tokens=2, prompt=(START,))
        counts[tuple(committed[1:])] += 1
    wanted = decodings * TARGET[START][:, None] * TARGET
    assert wanted.min() >= 5
    return chisquare(counts.flatten().numpy(), wanted.flatten().numpy()).pvalue


@pytest.mark.parametrize("cell", CASES)
def test_a_lossless_method_samples_the_targets_law(cell):
    """It is tested for each rule with every shape it claims, and for each depth policy."""
    assert p_value(loop(**cell)) > ERROR


@pytest.mark.parametrize("drafter", [SelfDraft, PerturbedSelf])
@pytest.mark.parametrize("shape", ["chain", "static-tree", "dynamic-tree"])
def test_a_draft_made_of_the_target_leaves_its_law_alone(drafter, shape):
    """The controls draft with the target, or with the perturbed target."""
    run = loop(drafter, draft=TARGET, shape=shape, noise=0.5)
    assert p_value(run, 700) > ERROR


class ResidualKept(Rejection):
    """Wrong: after a rejection the token is drawn from the target, not from the residual."""

    def decide(self, target_logits, proposal, law, generator):
        tip, _ = super().decide(target_logits, proposal, law, generator)
        return torch.stack([tip, law.draw(law.probs(target_logits)[tip + 1][None], generator)[0]])


class BonusOfTheDraft(Rejection):
    """Wrong: after an accepted round the token is drawn from the draft's last law."""

    def decide(self, target_logits, proposal, law, generator):
        tip, final = super().decide(target_logits, proposal, law, generator)
        parents = [] if proposal.parents is None else proposal.parents.tolist()
        last = tip == len(proposal.tokens) - 1 if not parents else int(tip) not in parents
        if last:
            final = law.draw(law.probs(proposal.logits[tip][None]), generator)[0]
        return torch.stack([tip, final])


class SiblingsForgotten(Rejection):
    """Wrong: each sibling is compared with the whole target, as if none was rejected before it."""

    def decide(self, target_logits, proposal, law, generator):
        target = law.probs(target_logits)
        tip, place = -1, 0
        parents = list(range(-1, len(proposal.tokens) - 1))
        parents = parents if proposal.parents is None else proposal.parents.tolist()
        while place < len(parents):
            token = proposal.tokens[place]
            coin = torch.rand((), generator=generator) * proposal.draft_probs[place, token]
            if parents[place] == tip and coin < target[tip + 1, token]:
                tip = place
            place += 1
        return torch.cat([torch.tensor([tip]), law.draw(target[tip + 1][None], generator)])


@pytest.mark.parametrize(
    ("wrong", "shape"),
    [
        (ResidualKept, "chain"),
        (ResidualKept, "static-tree"),
        (ResidualKept, "dynamic-tree"),
        (BonusOfTheDraft, "chain"),
        (SiblingsForgotten, "static-tree"),
    ],
)
def test_a_wrong_rule_is_found_out(wrong, shape):
    """With one thing wrong the test with that seed fails, or it would prove nothing."""
    run = replace(loop(shape=shape, depth=1, acceptance="rejection"), acceptance=wrong())
    assert p_value(run) < ERROR


@pytest.mark.parametrize("shape", ["chain", "static-tree"])
def test_a_rule_that_says_it_is_lossy_is(shape):
    """Typical acceptance fails the test that the others pass."""
    assert not proofs.rule("typical").lossless
    assert p_value(loop(shape=shape, acceptance="typical")) < ERROR


def test_a_draft_law_that_is_not_the_drafts_is_found_out():
    """Tokens are drawn from one law and declared under another, which bends the output."""

    class Misdeclared(SelfDraft):
        def propose(self, committed, depth):
            proposal = super().propose(committed, depth)
            uniform = torch.full_like(proposal.draft_probs, 1 / 3)
            return replace(proposal, draft_probs=uniform)

    assert p_value(loop(Misdeclared)) < ERROR


def test_a_siblings_law_that_forgets_its_elders_is_found_out(monkeypatch):
    """Siblings drawn without replacement are declared as drawn with it, which bends the output."""
    monkeypatch.setattr(static_tree, "sibling_law", lambda law, elders, tokens: law)
    assert p_value(loop(shape="static-tree", depth=1, acceptance="rejection")) < ERROR


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("family"))


@pytest.mark.parametrize("drafter", [name for _, name in proofs.drawn_drafts()])
def test_drafts_are_drawn_from_the_law_they_declare(family, drafter):
    """The first token is drafted 300 times at one place of a real checkpoint, with a small top-k.

    A deterministic drafter declares no law, and drafts the same token each time.
    """
    given = {"temperature": 1.0, "top_k": 6, "depth": 1}
    run = wire(proofs.asked({"drafter": drafter}, family, **given))
    committed = run.tokens[: proofs.CONTEXT]
    run.loop.target.prefill(committed[:-1])
    drawn, laws = [], []
    for _ in range(300):
        run.loop.drafter.prefill(committed)
        proposal = run.loop.drafter.propose(committed, 1)
        drawn.append(int(proposal.tokens[0]))
        laws.append(proposal.draft_probs)
        run.loop.drafter.rollback(proofs.CONTEXT)
    if laws[0] is None:
        assert len(set(drawn)) == 1
        return
    law = laws[0][0]
    assert all(torch.allclose(law, each[0], atol=1e-5) for each in laws)
    counts = torch.bincount(torch.tensor(drawn), minlength=len(law))
    assert counts[law == 0].sum() == 0
    frequent = law * 300 >= 5
    told = [*counts[frequent].tolist(), int(counts[~frequent].sum())]
    wanted = [*(law[frequent] * 300).tolist(), float(law[~frequent].sum()) * 300]
    cells = [(a, b) for a, b in zip(told, wanted, strict=True) if b > 1e-3]
    scale = sum(a for a, _ in cells) / sum(b for _, b in cells)
    assert len(cells) > 1
    assert chisquare([a for a, _ in cells], [b * scale for _, b in cells]).pvalue > ERROR
