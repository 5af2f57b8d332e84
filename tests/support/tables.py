"""Table models: decoders with written-down probabilities, so that laws are exact."""

from collections.abc import Sequence

import torch

from specprof.extend import Law


class TableDecoder:
    """A Markov model: the answer after a token is that token's row of a table of logits.

    It keeps the tokens it was fed, as a cache does, and refuses calls that no cache allows.
    """

    evicted = None

    def __init__(self, table: torch.Tensor) -> None:
        self.table = table  # [vocab, vocab]
        self.device = torch.device("cpu")
        self.forwards = 0
        self.fed: list[int] = []
        self.tree: list[tuple[int, int]] = []
        """Token and parent of each node beyond the chain."""

    @property
    def length(self) -> int:
        return len(self.fed) + len(self.tree)

    @property
    def kv_bytes(self) -> int:
        return 2 * self.length

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        if parents is None:
            assert not self.tree, "a chain was fed onto a tree"
            self.fed += tokens.tolist()
        else:
            for token, parent in zip(tokens.tolist(), parents.tolist(), strict=True):
                assert -1 <= parent < len(self.tree), "a node came before its parent"
                self.tree.append((token, parent))
        self.forwards += 1
        return self.table[tokens].clone()

    def keep(self, branch: Sequence[int]) -> None:
        assert self.tree, "there is no tree to keep a branch of"
        for before, node in zip([-1, *branch], branch, strict=False):
            assert self.tree[node][1] == before, "the branch is no path of the tree"
        self.fed += [self.tree[node][0] for node in branch]
        self.tree = []

    def prefill(self, tokens: Sequence[int]) -> None:
        if tokens:
            self.feed(torch.tensor(list(tokens)))

    def rollback(self, length: int) -> None:
        assert 0 <= length <= len(self.fed)
        self.tree = []
        del self.fed[length:]


class ScriptedLaw(Law):
    """A softmax law with scripted draws: it notes the weights and returns the next choice."""

    greedy = False

    def __init__(self, choices: Sequence[int]) -> None:
        self.choices = list(choices)
        self.weights: list[torch.Tensor] = []

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.double().softmax(-1)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        self.weights.append(probs)
        return torch.tensor([self.choices.pop(0)])
