"""A stop token accepted inside a block is passed over: only the round's last token is looked at.

Seen in
    huggingface/transformers#47912, mended by #47931, and earlier #31301; sgl-project/sglang#33758;
    ggml-org/llama.cpp#28232.

Breaks
    A round's tokens are cut at the length limit alone. So that the walk's text ever stops, the
    token it holds about once in 40 stands as its stop token.

Shows
    A token that ends some bursts lies inside others, with more text after it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from specprof.engine import loop
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.settings import Value

APART = 40
"""Tokens from one stop token of the text to the next, about."""


class EosInsideAcceptedBlock(Fault):
    """The check comes after the round and sees its last token."""

    settings: ClassVar[dict[str, Value]] = {"ignore_eos": False}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Let the run have a stop token, and let rounds run over it."""
        stop = frozenset({once_in(run.tokens, APART)})
        with swapped(run, stop=stop), swapped(loop, _stopped=_cut_at_the_limit):
            yield


def once_in(tokens: Sequence[int], apart: int) -> int:
    """Return the token that occurs in `tokens` about once in `apart`."""
    due = len(tokens) / apart
    return min(Counter(tokens).items(), key=lambda each: (abs(each[1] - due), each[0]))[0]


def _cut_at_the_limit(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
    del stop
    return emitted[:room]
