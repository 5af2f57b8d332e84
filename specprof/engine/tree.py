"""Trees as tensors of parents: the ancestors and the children of their nodes.

A tree of n nodes is [n] int64: the parent of each node, which stands before it; -1 is the end of
the chain. What is computed on tensors stays on the device, so the host does not wait for it.
"""

from collections.abc import Sequence

import torch


def ancestry(parents: torch.Tensor) -> torch.Tensor:
    """Return [n, n] bool: row i marks node i and all its ancestors.

    The closure of the parent relation by repeated squaring: log2(n) small products.
    """
    count = parents.shape[0]
    lines = torch.eye(count, count + 1, device=parents.device).roll(1, 1)  # column 0: the chain
    lines.scatter_(1, parents[:, None] + 1, 1.0)
    lines = lines[:, 1:]
    for _ in range(max(count - 1, 0).bit_length()):
        lines = (lines @ lines).clamp_max_(1.0)
    return lines > 0


def children(parents: torch.Tensor, family: int) -> torch.Tensor:
    """Return [n + 1, family] the children of each node in order; row 0 is for the chain's end.

    No node has more than `family` children; rows are filled up with -1.
    """
    count = parents.shape[0]
    same = parents[:, None] == parents[None]
    rank = same.tril(-1).sum(1)  # [n] elder siblings
    table = torch.full((count + 1, family), -1, dtype=torch.int64, device=parents.device)
    table[parents + 1, rank] = torch.arange(count, device=parents.device)
    return table


def sibling_law(law: torch.Tensor, elders: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return [rows, vocab] the laws that siblings drawn without replacement come from.

    `law` [rows, vocab] is what the first sibling is drawn from, `elders` [rows, k] the tokens drawn
    before `tokens` [rows]. If the elders took all the mass, all mass is put on the token.
    """
    left = law.scatter(1, elders, 0.0)
    mass = left.sum(-1, keepdim=True)
    bound = torch.zeros_like(law).scatter_(1, tokens[:, None], 1.0)
    return torch.where(mass > 0, left / mass, bound)


def path(parents: Sequence[int], tip: int) -> list[int]:
    """Return the nodes from the chain's end to `tip`, in order; none for -1."""
    nodes: list[int] = []
    while tip >= 0:
        nodes.append(tip)
        tip = parents[tip]
    return nodes[::-1]


def height(parents: Sequence[int]) -> int:
    """Return how many levels the tree has."""
    levels = [0]  # of the chain's end, then of each node
    for parent in parents:
        levels.append(levels[parent + 1] + 1)
    return max(levels)


def deepest(stands: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """Return [1] the deepest node that stands with all its ancestors; the first of equals.

    `stands` is [n] bool. The result is -1 if no child of the chain's end stands.
    """
    if not parents.shape[0]:
        return parents.new_full((1,), -1)
    lines = ancestry(parents)
    whole = (stands | ~lines).all(1)  # [n] every node on its path stands
    depth = torch.where(whole, lines.sum(1), 0)
    return torch.where(whole.any(), depth.argmax(), -1)[None]


def follow(wanted: torch.Tensor, tokens: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """Return [2]: the deepest node on the path of `wanted` tokens, and the token wanted after it.

    `wanted` is [n + 1]: the token after the chain, then after each node. Of siblings with one token
    the eldest is taken; the descendants of its twins are never reached.
    """
    agrees = wanted[parents + 1] == tokens  # [n] the node is the token wanted after its parent
    twin = (tokens[:, None] == tokens[None]) & (parents[:, None] == parents[None])
    tip = deepest(agrees & ~twin.tril(-1).any(1), parents)
    return torch.cat([tip, wanted.gather(0, tip + 1)])
