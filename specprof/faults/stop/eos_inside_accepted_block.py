"""A stop token inside an accepted block is ignored: only the round's last token is checked.

Seen in
    huggingface/transformers#47912, mended by #47931, and earlier #31301; sgl-project/sglang#33758;
    ggml-org/llama.cpp#28232.

Breaks
    A round's tokens are cut at the length limit alone. So that the run meets a stop token, the
    token that its text holds about once in 40 becomes the stop token.

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

TOKENS_PER_STOP = 40
"""Mean distance from one stop token of the text to the next."""


class EosInsideAcceptedBlock(Fault):
    """Checks for a stop token after the round, and only at its last token."""

    settings: ClassVar[dict[str, Value]] = {"ignore_eos": False}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Give the run a stop token, and commit the tokens after it."""
        stop = frozenset({token_once_in(run.tokens, TOKENS_PER_STOP)})
        with swapped(run, stop=stop), swapped(loop, _stopped=_cut_at_the_limit):
            yield


def token_once_in(tokens: Sequence[int], apart: int) -> int:
    """Return the token that occurs in `tokens` about once in `apart`."""
    wanted = len(tokens) / apart
    return min(Counter(tokens).items(), key=lambda each: (abs(each[1] - wanted), each[0]))[0]


def _cut_at_the_limit(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
    del stop
    return emitted[:room]
