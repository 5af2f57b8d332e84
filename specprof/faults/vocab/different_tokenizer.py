"""An id stands for one string in the target's tokenizer and another in the draft's.

Seen in
    sgl-project/sglang#23838; ggml-org/llama.cpp#3812.

Breaks
    A quarter of the draft's ids are permuted in its embeddings, its output matrix and the table of
    its tokenizer. The run does not compare the tables.

Shows
    The two models' vocabularies differ. Drafts of the permuted ids are rejected at every position.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.setup.loading import Loaded
from specprof.faults._weights import embedding_module, output_module, own_draft_of


class DifferentTokenizer(Fault):
    """Stands for a draft of another family with an equally large vocabulary."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Rotate a quarter of the ids by one; that quarter holds the commonest ids."""
        draft = own_draft_of(run)
        inside, outside = embedding_module(draft), output_module(draft)
        places = _move_rows(draft.facts.vocabulary)
        with (
            swapped(inside, weight=inside.weight[places]),
            swapped(outside, weight=outside.weight[places]),
            swapped(draft, tokenizer=Tokenizer(draft, places)),
        ):
            yield


class Tokenizer:
    """The table of the draft's own tokenizer, with its strings moved to other ids."""

    def __init__(self, draft: Loaded, places: torch.Tensor) -> None:
        named = {number: text for text, number in draft.tokenizer.get_vocab().items()}
        moved = enumerate(places.tolist())
        self.table = {named[own]: number for number, own in moved if own in named}

    def get_vocab(self) -> dict[str, int]:
        """Return the id of every string."""
        return self.table


def _move_rows(count: int) -> torch.Tensor:
    """Return [count] int64: for each id, the row of the model that it gets."""
    first, last = count // 4, count // 2
    places = torch.arange(count)
    places[first:last] = places[first:last].roll(1)
    return places
