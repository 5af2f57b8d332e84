"""Table models: decoders whose every probability is a number written down, so laws are exact."""

from collections.abc import Sequence

import torch

from specprof.extend import Law


class TableDecoder:
    """A Markov model: the answer after a token is that token's row of a table of logits.

    Keeps the tokens it was fed, as a cache would, and refuses what no cache could do.
    """

    def __init__(self, table: torch.Tensor) -> None:
        self.table = table  # [vocab, vocab]
        self.device = torch.device("cpu")
        self.forwards = 0
        self.fed: list[int] = []

    @property
    def length(self) -> int:
        return len(self.fed)

    @property
    def kv_bytes(self) -> int:
        return 2 * len(self.fed)

    def feed(self, tokens: torch.Tensor) -> torch.Tensor:
        self.fed += tokens.tolist()
        self.forwards += 1
        return self.table[tokens].clone()

    def prefill(self, tokens: Sequence[int]) -> None:
        if tokens:
            self.feed(torch.tensor(list(tokens)))

    def rollback(self, length: int) -> None:
        assert 0 <= length <= len(self.fed)
        del self.fed[length:]


class ScriptedLaw(Law):
    """A softmax law whose draws are scripted: it notes the weights and returns the next choice."""

    greedy = False

    def __init__(self, choices: Sequence[int]) -> None:
        self.choices = list(choices)
        self.weights: list[torch.Tensor] = []

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.double().softmax(-1)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        self.weights.append(probs)
        return torch.tensor([self.choices.pop(0)])
