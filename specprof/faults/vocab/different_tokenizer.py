"""An id means one string to the target and another to the draft.

Seen in
    sgl-project/sglang#23838; ggml-org/llama.cpp#3812.

Breaks
    A quarter of the draft's ids change places, in its embeddings, its output matrix and the table
    of its tokenizer, and nobody compares the tables.

Shows
    The two models' vocabularies differ; drafts made of the misplaced ids fall, wherever they come.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.setup.loading import Loaded
from specprof.faults._weights import draft_of, embeddings, head


class DifferentTokenizer(Fault):
    """A draft of another family that happens to be of the same size."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Move a quarter of the ids by one, round in a ring; they are the commonest ones."""
        draft = draft_of(run)
        inside, outside = embeddings(draft), head(draft)
        places = _places(draft.facts.vocabulary)
        with (
            swapped(inside, weight=inside.weight[places]),
            swapped(outside, weight=outside.weight[places]),
            swapped(draft, tokenizer=Tokenizer(draft, places)),
        ):
            yield


class Tokenizer:
    """The table of the draft's own tokenizer, with strings in other places."""

    def __init__(self, draft: Loaded, places: torch.Tensor) -> None:
        named = {number: text for text, number in draft.tokenizer.get_vocab().items()}
        moved = enumerate(places.tolist())
        self.table = {named[own]: number for number, own in moved if own in named}

    def get_vocab(self) -> dict[str, int]:
        """Return the id of every string."""
        return self.table


def _places(count: int) -> torch.Tensor:
    """Return [count] which of the model's own rows each id has."""
    first, last = count // 4, count // 2
    places = torch.arange(count)
    places[first:last] = places[first:last].roll(1)
    return places
