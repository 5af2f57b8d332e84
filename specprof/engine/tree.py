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
