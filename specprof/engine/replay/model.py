"""Short forwards, recorded once and replayed: asking for a small one takes longer than doing it.

Who records is the device's business: CUDA graphs (`spans`), TorchScript on a CPU (`scripts`).
Nothing is recorded while a round is played: what has no recording runs as ever, and is recorded
between rounds once it was missed a few times.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol

import torch

from specprof.engine.decoder import CausalModel, Forwards
from specprof.engine.stores.dense import Placement, Store
from specprof.errors import SpecprofError

MOST = 32
"""Tokens of the widest forward that is recorded; a wider one is work enough to hide the asking."""
MISSED = 3
"""Times a forward runs unrecorded before it is thought worth recording."""

Play = Callable[[torch.Tensor, Placement], torch.Tensor]
"""From [n] tokens and where they stand to [n, vocab] logits, a tensor of their own."""
Key = tuple[int, int | str]
"""Count of tokens, and what else a recording holds for: a span, a state of the cache."""


class Recordings(Protocol):
    """The recorded forwards of one decoder."""

    def key(self, count: int) -> Key | None:
        """Return what the next forward of `count` tokens needs; None: nothing records that."""

    def found(self, key: Key) -> Play | None:
        """Return what replays it, if it was recorded."""

    def record(self, key: Key) -> None:
        """Record it; rows beyond the text may be written, none of the text's own."""


Recorder = Callable[["ReplayedModel"], Recordings]
"""Makes the recordings of a decoder."""


class ReplayedModel(CausalModel):
    """A causal model whose short forwards over a chain are replayed.

    Trees, prefill, the first tokens of all, and forwards whose hidden states are read run as ever.
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
        assert forwards.recorder is not None  # noqa: S101 - else it would be no such decoder
        self.recordings = forwards.recorder(self)
        self.missed: Counter[Key] = Counter()
        """Times each forward that could be recorded was not."""
        self.refused: dict[Key, Exception] = {}
        """What could not be recorded, for want of memory perhaps, and why: it runs as ever."""
        self.eager = False
        """Whether nothing is replayed for the while: somebody looks into forwards."""

    @torch.inference_mode()
    def ready(self, counts: Collection[int] = ()) -> None:
        """Record what the next forwards of `counts` tokens need, and what was missed often."""
        if self._has_hooks or not self.length:
            return
        often = [key for key, times in self.missed.items() if times >= MISSED]
        for count in dict.fromkeys([*counts, *(count for count, _ in often)]):
            key = self.recordings.key(count) if count <= MOST else None
            fits = self.length + count <= self.store.capacity
            if key and fits and key not in self.refused and not self.recordings.found(key):
                self._record(key)
        for key in often:
            del self.missed[key]

    def _record(self, key: Key) -> None:
        try:
            self.recordings.record(key)
        except SpecprofError:
            raise  # of a cache that is full, as the forward itself would say
        except Exception as trouble:  # noqa: BLE001 - whatever it meets, there is the eager way
            self.refused[key] = trouble

    @property
    def _has_hooks(self) -> bool:
        """Whether something listens at its modules, which no replay calls."""
        return self.eager or self.features is not None

    @torch.inference_mode()
    def _forward(
        self, tokens: torch.Tensor, keep: int, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        count = tokens.shape[0]
        key = play = None
        if not (keep or parents is not None or self._has_hooks or count > MOST) and self.length:
            key = self.recordings.key(count)
            play = self.recordings.found(key) if key else None
        if play is None:
            if key:
                self.missed[key] += 1
            return super()._forward(tokens, keep, parents)
        logits = play(tokens, self.store.place(count, self.device))
        self.store.advance(count)
        self.forwards += 1
        return logits[:, : self.vocabulary]
