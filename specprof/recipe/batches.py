"""Batches drawn from one long token stream, with ordinary or far-scattered positions."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from specprof.pocket import corpus

SEGMENTS = 8
"""A scattered sample is cut into this many runs of neighbouring positions."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless seeded windows over a token stream."""

    stream: torch.Tensor  # [tokens]
    rows: int
    length: int
    seed: int

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield [rows, length] token windows at random places."""
        generator = torch.Generator().manual_seed(self.seed)
        offsets = torch.arange(self.length)
        last = self.stream.numel() - self.length
        while True:
            starts = torch.randint(last, (self.rows, 1), generator=generator)
            yield self.stream[starts + offsets].long()


def token_stream(tokenizer: PreTrainedTokenizerFast, seed: int) -> torch.Tensor:
    """Return the training sources, shuffled, as one [tokens] stream with ends marked."""
    texts = corpus.training_texts(tests=True)
    random.Random(seed).shuffle(texts)
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return torch.tensor(
        [t for row in rows for t in (*row, tokenizer.eos_token_id)], dtype=torch.int16
    )


def scattered_positions(length: int, span: int, generator: torch.Generator) -> torch.Tensor:
    """Return increasing position ids [1, length] whose gaps spread over up to `span` positions.

    Inside each of a few runs positions are neighbours, so local attention stays as it is; between
    runs they jump, so a short sample shows the model the distances of a long context.
    """
    reach = span * torch.rand((), generator=generator).square() + length
    cuts = torch.randint(1, length, (SEGMENTS - 1,), generator=generator)
    weights = torch.rand(SEGMENTS - 1, generator=generator)
    gaps = torch.zeros(length)
    gaps.index_add_(0, cuts, (reach - length) * weights / weights.sum())
    return (torch.arange(length) + gaps.cumsum(0).long())[None]
