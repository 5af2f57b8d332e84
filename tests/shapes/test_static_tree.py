"""The static tree on table models: its form, its tokens, and the law each is drawn from."""

import pytest
import torch
from scipy.stats import chisquare

from engines import parts
from specprof.shapes.static_tree import StaticTree
from tables import TableDecoder

VOCABULARY = 6


def table(seed=1):
    return torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def grow(logits, depth=3, **given):
    """Grow after the chain 3, 5, of which 5 is still to be fed; returns proposal and draft."""
    given = {"widths": "3,2,1", "shape": "static-tree"} | given
    draft = TableDecoder(logits)
    draft.prefill([3])
    shape = StaticTree(parts(draft, draft, **given))
    return shape.grow(draft, torch.tensor([5]), depth), draft


def test_each_node_has_its_levels_width_in_children():
    """3, then 2 each, then 1 each, level by level; later levels have one."""
    proposal, _ = grow(table(), depth=4)
    wanted = [-1] * 3 + [0, 0, 1, 1, 2, 2] + list(range(3, 9)) + list(range(9, 15))
    assert proposal.parents.tolist() == wanted
    assert proposal.family == 3
    assert len(proposal.tokens) == StaticTree.room(
        parts(None, widths="3,2,1", shape="static-tree").settings, 4
    )


def test_greedy_children_are_the_drafts_likeliest_tokens_in_order():
    """Deterministic: no law is declared, and the logits are those of each token's place."""
    logits = table()
    proposal, _ = grow(logits)
    before = [5, *proposal.tokens.tolist()]
    ranks: dict[int, int] = {}
    for node, parent in enumerate(proposal.parents.tolist()):
        place = logits[before[parent + 1]]
        assert torch.equal(proposal.logits[node], place)
        rank = ranks[parent] = ranks.get(parent, -1) + 1
        assert proposal.tokens[node] == place.argsort(descending=True)[rank]
    assert proposal.draft_probs is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_draft_is_left_as_if_only_the_chain_had_been_fed(temperature):
    """One forward a level, the last level never fed, and the tree rolled back."""
    proposal, draft = grow(table(), temperature=temperature)
    assert draft.forwards == 1 + 3
    assert draft.fed == [3, 5]
    assert draft.tree == []
    assert len(proposal.tokens) == 15


def test_sampled_siblings_differ_and_declare_the_law_without_their_elders():
    """Every row sums to 1, has nothing on elder siblings, and is the draft's law elsewhere."""
    proposal, _ = grow(table(), temperature=0.7, seed=4)
    elders: dict[int, list[int]] = {}
    for node, parent in enumerate(proposal.parents.tolist()):
        kin = elders.setdefault(parent, [])
        law = (proposal.logits[node] / 0.7).softmax(-1)
        law[kin] = 0
        assert torch.allclose(proposal.draft_probs[node], law / law.sum(), atol=1e-6)
        kin.append(int(proposal.tokens[node]))
        assert len(set(kin)) == len(kin)


def test_sampled_siblings_are_drawn_without_replacement():
    """Ordered pairs of siblings, 3,000 draws by chi-square; false alarm 1 in 1,000, seed fixed."""
    logits = table()
    draft = TableDecoder(logits)
    shape = StaticTree(parts(draft, widths="2", temperature=1.0, seed=8, shape="static-tree"))
    law = logits[5].softmax(-1)
    counts = torch.zeros(VOCABULARY, VOCABULARY)
    for _ in range(3000):
        draft.rollback(0)
        one, two = shape.grow(draft, torch.tensor([5]), 1).tokens.tolist()
        counts[one, two] += 1
    wanted = law[:, None] * law / (1 - law[:, None])
    off = ~torch.eye(VOCABULARY, dtype=torch.bool)
    frequent = off & (3000 * wanted >= 5)
    told = [*counts[frequent].tolist(), counts[off & ~frequent].sum().item()]
    due = [*(3000 * wanted[frequent]).tolist(), 3000 * wanted[off & ~frequent].sum().item()]
    assert counts.diagonal().sum() == 0
    assert chisquare(told, [each * 3000 / sum(due) for each in due]).pvalue > 1e-3


def test_a_law_of_fewer_tokens_than_siblings_is_filled_up_for_certain():
    """top_k 1: the second sibling can't be drawn, and is declared as what it is."""
    proposal, _ = grow(table(), depth=1, widths="2", temperature=1.0, top_k=1)
    assert proposal.draft_probs.amax(-1).tolist() == [1, 1]
    assert proposal.draft_probs.argmax(-1).tolist() == proposal.tokens.tolist()


def test_no_more_siblings_than_there_are_tokens():
    """A width beyond the vocabulary is the vocabulary."""
    proposal, _ = grow(table(), depth=1, widths="9")
    assert sorted(proposal.tokens.tolist()) == list(range(VOCABULARY))


def test_a_policy_ends_the_tree_after_a_level_whose_eldest_line_is_unsure():
    """Everything drawn so far is still proposed: nothing is dropped for its own value."""
    flat = torch.zeros(VOCABULARY, VOCABULARY)
    flat[5, 0] = 9.0
    proposal, draft = grow(flat, depth=3, depth_policy="confidence", confidence=0.5)
    assert proposal.parents.tolist() == [-1] * 3 + [0, 0, 1, 1, 2, 2]
    assert draft.fed == [3, 5]
