"""Trees as tensors of parents: who descends from whom, and whose children are where.

A tree of n nodes is [n] int64: each node's parent, which stands before it; -1 hangs on the chain.
Everything here stays on the device: no host waits for a tree to be known.
"""

from collections.abc import Sequence

import torch


def ancestry(parents: torch.Tensor) -> torch.Tensor:
    """Return [n, n] bool: row i marks node i and all it descends from.

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
    """Return [n + 1, family] the children of each node in order, row 0 those of the chain's end.

    `family` is at least the most siblings any node has; rows are filled up with -1.
    """
    count = parents.shape[0]
    same = parents[:, None] == parents[None]
    rank = same.tril(-1).sum(1)  # [n] elder siblings
    table = torch.full((count + 1, family), -1, dtype=torch.int64, device=parents.device)
    table[parents + 1, rank] = torch.arange(count, device=parents.device)
    return table


def path(parents: Sequence[int], tip: int) -> list[int]:
    """Return the nodes from the chain's end to `tip`, in order; none for -1."""
    nodes: list[int] = []
    while tip >= 0:
        nodes.append(tip)
        tip = parents[tip]
    return nodes[::-1]


def follow(wanted: torch.Tensor, tokens: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """Return [2]: the deepest node reached by going where `wanted` says, and what it wants next.

    `wanted` is [n + 1], the token after the chain and after each node; siblings differ, or their
    doubles are left out, so that one path at most is all as wanted.
    """
    agrees = wanted[parents + 1] == tokens  # [n] node is what its parent wants
    twin = (tokens[:, None] == tokens[None]) & (parents[:, None] == parents[None])
    agrees &= ~twin.tril(-1).any(1)
    lines = ancestry(parents)
    stands = (agrees[None] | ~lines).all(1)  # [n] all on its path agree
    depth = torch.where(stands, lines.sum(1), 0)
    tip = (
        torch.where(stands.any(), depth.argmax(), -1)[None]
        if tokens.shape[0]
        else parents.new_tensor([-1])
    )
    return torch.cat([tip, wanted.gather(0, tip + 1)])
