"""A model whose short forwards are recorded once and then replayed.

Python takes longer to ask a device for a small model's operations than the device takes to compute
them; a replay asks once. The device decides how: CUDA graphs (`cuda_graphs.py`) on a GPU,
TorchScript (`torchscript.py`) on a CPU. Nothing is recorded while a round is played. A forward
without a recording runs eagerly, and is recorded between rounds after it was missed a few times.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol

import torch

from specprof.engine.decoder import CausalModel, Forwards
from specprof.engine.stores.dense import Placement, Store
from specprof.errors import SpecprofError

MAX_REPLAYED_TOKENS = 32
"""A wider forward takes the device so long that the time to ask for it is hidden."""
MIN_MISSES = 3
"""Times a forward runs without a recording before it is recorded."""

Play = Callable[[torch.Tensor, Placement], torch.Tensor]
"""Takes [n] tokens and where they stand; returns [n, vocab] logits in a tensor of their own."""
Key = tuple[int, int | str]
"""What a recording holds for: a count of tokens, and a span of rows or a state of the cache."""


class Recordings(Protocol):
    """The recorded forwards of one decoder."""

    def key(self, count: int) -> Key | None:
        """Return the key of the next forward of `count` tokens; None if it can't be recorded."""

    def find(self, key: Key) -> Play | None:
        """Return what replays the forward, if it was recorded."""

    def record(self, key: Key) -> None:
        """Record the forward. It may write rows beyond the text, but no row of the text."""


Recorder = Callable[["ReplayedModel"], Recordings]
"""Makes the (empty) recordings of a decoder."""


class ReplayedModel(CausalModel):
    """A causal model whose short forwards over a chain are replayed.

    Trees, prefill, the very first tokens, and forwards whose hidden states are read run eagerly.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        store: Store,
        device: torch.device,
        vocabulary: int | None = None,
        *,
        forwards: Forwards,
    ) -> None:
        """Replay by the recordings that `forwards.recorder` makes."""
        super().__init__(model, store, device, vocabulary, forwards=forwards)
        assert forwards.recorder is not None  # noqa: S101 - `open_decoder` has asked
        self.recordings = forwards.recorder(self)
        self.missed: Counter[Key] = Counter()
        """How often each forward that could be recorded ran without a recording."""
        self.refused: dict[Key, Exception] = {}
        """Forwards that could not be recorded, and why (too little memory, say): they run
        eagerly."""
        self.eager = False
        """Whether nothing is replayed now, because the parts of forwards are timed."""

    @torch.inference_mode()
    def record_widths(self, counts: Collection[int] = ()) -> None:
        """Record the next forwards of `counts` tokens, and those that were missed often."""
        if self._has_hooks or not self.length:
            return
        often = [key for key, times in self.missed.items() if times >= MIN_MISSES]
        for count in dict.fromkeys([*counts, *(count for count, _ in often)]):
            key = self.recordings.key(count) if count <= MAX_REPLAYED_TOKENS else None
            fits = self.length + count <= self.store.capacity
            if key and fits and key not in self.refused and not self.recordings.find(key):
                self._record(key)
        for key in often:
            del self.missed[key]

    def _record(self, key: Key) -> None:
        try:
            self.recordings.record(key)
        except SpecprofError:
            raise  # the cache is full: the forward itself would fail so
        except Exception as trouble:  # noqa: BLE001 - the forward can still run eagerly
            self.refused[key] = trouble

    @property
    def _has_hooks(self) -> bool:
        """Whether hooks on its modules are needed: a replay calls no module."""
        return self.eager or self.features is not None

    @torch.inference_mode()
    def _forward(
        self, tokens: torch.Tensor, keep: int, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        count = tokens.shape[0]
        key = play = None
        if (
            not (keep or parents is not None or self._has_hooks or count > MAX_REPLAYED_TOKENS)
            and self.length
        ):
            key = self.recordings.key(count)
            play = self.recordings.find(key) if key else None
        if play is None:
            if key:
                self.missed[key] += 1
            return super()._forward(tokens, keep, parents)
        logits = play(tokens, self.store.place(count, self.device))
        self.store.advance(count)
        self.forwards += 1
        return logits[:, : self.vocabulary]
