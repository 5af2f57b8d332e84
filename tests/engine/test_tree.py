"""Trees as parents: lines of descent, children, paths, against the same by plain recursion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specprof.engine.tree import (
    ancestry,
    children,
    deepest,
    follow,
    height,
    path,
    sibling_law,
)


@st.composite
def trees(draw):
    """Parents of up to 14 nodes, each before its children."""
    count = draw(st.integers(0, 14))
    return [draw(st.integers(-1, node - 1)) for node in range(count)]


def lines(parents):
    return [set(path(parents, node)) for node in range(len(parents))]


@given(trees())
def test_ancestry_is_the_path_to_each_node(parents):
    """Row i marks node i and all it descends from; a chain's are all before it."""
    marked = ancestry(torch.tensor(parents, dtype=torch.int64))
    assert [set(row.nonzero().flatten().tolist()) for row in marked] == lines(parents)
    assert height(parents) == max(map(len, lines(parents)), default=0)


@given(trees())
def test_children_stand_in_order_under_each_node(parents):
    """Row 0 is the chain's end; what is missing is -1."""
    family = max((parents.count(node) for node in parents), default=1)
    table = children(torch.tensor(parents, dtype=torch.int64), family).tolist()
    assert len(table) == len(parents) + 1
    for row, kin in enumerate(table):
        known = [node for node, parent in enumerate(parents) if parent == row - 1]
        assert kin == known + [-1] * (family - len(known))


@given(trees(), st.data())
def test_the_deepest_node_whose_path_stands_is_found(parents, data):
    """The first of equally deep ones; -1 where not even a first token stands."""
    stands = [data.draw(st.booleans()) for _ in parents]
    whole = [
        (len(line), -node)
        for node, line in enumerate(lines(parents))
        if all(stands[each] for each in line)
    ]
    wanted = -max(whole)[1] if whole else -1
    told = deepest(torch.tensor(stands, dtype=torch.bool), torch.tensor(parents, dtype=torch.int64))
    assert told.tolist() == [wanted]


@given(trees(), st.data())
def test_following_is_walking_from_child_to_child(parents, data):
    """At each node on to the first child of the token wanted there, as far as there is one."""
    tokens = [data.draw(st.integers(0, 2)) for _ in parents]
    wanted = [data.draw(st.integers(0, 2)) for _ in range(len(parents) + 1)]
    tip = -1
    while True:
        able = [
            node
            for node, parent in enumerate(parents)
            if parent == tip and tokens[node] == wanted[tip + 1]
        ]
        if not able:
            break
        tip = able[0]
    tensors = [torch.tensor(each, dtype=torch.int64) for each in (wanted, tokens, parents)]
    assert follow(*tensors).tolist() == [tip, wanted[tip + 1]]


def test_siblings_come_from_what_their_elders_left():
    """Renormalised without them; where they took all there was, the token comes for certain."""
    law = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    elders = torch.tensor([[0, 2, 1]])
    for count, wanted in ((0, law[0].tolist()), (1, [0, 0.5, 0.5, 0]), (2, [0, 1, 0, 0])):
        told = sibling_law(law, elders[:, :count], elders[:, count])
        assert told[0].tolist() == pytest.approx(wanted)
    assert sibling_law(law, elders, torch.tensor([3]))[0].tolist() == [0, 0, 0, 1]
