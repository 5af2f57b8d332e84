"""The dynamic tree against EAGLE-2's expansion and rerank written out plainly."""

import math
from itertools import pairwise

import pytest
import torch

from engines import parts
from specprof.shapes.dynamic_tree import DynamicTree
from tables import TableDecoder

VOCABULARY = 8


def table(seed):
    return 2 * torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def grow(logits, depth=3, **given):
    """Grow after the chain 3, 5, of which 5 is still to be fed; returns proposal and draft."""
    given = {"branch": 3, "nodes": 8, "shape": "dynamic-tree"} | given
    draft = TableDecoder(logits)
    draft.prefill([3])
    shape = DynamicTree(parts(draft, draft, **given))
    return shape.grow(draft, torch.tensor([5]), depth), draft


def written_out(logits, depth, branch, nodes):
    """The values kept: expand the best `branch` of each level, keep the best `nodes` of all."""
    sure = logits.double().softmax(-1)
    frontier, tried = [(5, 1.0)], []
    for _ in range(depth):
        level = [
            (token, value * sure[last, token].item())
            for last, value in frontier
            for token in sure[last].argsort(descending=True)[:branch].tolist()
        ]
        tried += level
        frontier = sorted(level, key=lambda one: -one[1])[:branch]
    return sorted((value for _, value in tried), reverse=True)[:nodes]


def values(proposal, logits):
    """The product of the draft's probabilities on the path to each node."""
    sure = logits.double().softmax(-1)
    return [
        math.prod(sure[one, two].item() for one, two in pairwise((5, *way)))
        for way in ways(proposal)
    ]


def ways(proposal):
    """The path of tokens to each node."""
    found = []
    for token, parent in zip(proposal.tokens.tolist(), proposal.parents.tolist(), strict=True):
        found.append((*(found[parent] if parent >= 0 else ()), token))
    return found


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("depth", "branch", "nodes"), [(3, 3, 8), (5, 2, 6), (1, 4, 3), (4, 4, 99), (6, 1, 4)]
)
def test_the_kept_tree_is_the_papers(depth, branch, nodes, temperature):
    """Over 20 tables, at either temperature: the draft's likeliest, by confidence alone."""
    for seed in range(20):
        logits = table(seed)
        proposal, _ = grow(logits, depth, branch=branch, nodes=nodes, temperature=temperature)
        told = sorted(values(proposal, logits), reverse=True)
        assert told == pytest.approx(written_out(logits, depth, branch, nodes), rel=1e-4)
        assert len(set(ways(proposal))) == len(told)
        assert proposal.draft_probs is None


def test_siblings_stand_in_order_and_every_token_has_its_own_places_logits():
    """Parents before children, likelier siblings first, logits of where each was drafted."""
    for seed in range(20):
        logits = table(seed)
        proposal, _ = grow(logits, 4)
        last: dict[int, float] = {}
        before = [5, *proposal.tokens.tolist()]
        for node, parent in enumerate(proposal.parents.tolist()):
            assert parent < node
            assert torch.equal(proposal.logits[node], logits[before[parent + 1]])
            own = proposal.logits[node, proposal.tokens[node]].item()
            assert own <= last.get(parent, math.inf)
            last[parent] = own


def test_parents_are_kept_even_where_confidence_is_all_or_nothing():
    """Equal values, 1 or 0 after rounding: the stable order keeps every parent of a kept token."""
    logits = torch.full((VOCABULARY, VOCABULARY), -1e4)
    logits[torch.arange(VOCABULARY), (torch.arange(VOCABULARY) + 1) % VOCABULARY] = 1e4
    for nodes in range(1, 12):
        proposal, _ = grow(logits, 5, nodes=nodes)
        assert (proposal.parents < torch.arange(len(proposal.parents))).all()
        assert proposal.tokens[0] == 6


def test_the_draft_is_left_as_if_only_the_chain_had_been_fed():
    """One forward a level over the expanded nodes, the last level never fed."""
    proposal, draft = grow(table(1), 4)
    assert draft.forwards == 1 + 4
    assert (draft.fed, draft.tree) == ([3, 5], [])
    room = DynamicTree.room(parts(draft, branch=3, nodes=8, shape="dynamic-tree").settings, 4)
    assert room == max(8, 3 * 3) >= len(proposal.tokens)


def test_a_policy_ends_the_tree_after_a_level_whose_best_path_is_unsure():
    """The best path's own step is what is asked about."""
    flat = torch.zeros(VOCABULARY, VOCABULARY)
    flat[5, 0] = 9.0
    proposal, _ = grow(flat, 4, nodes=40, depth_policy="confidence", confidence=0.5)
    assert max(len(way) for way in ways(proposal)) == 2
