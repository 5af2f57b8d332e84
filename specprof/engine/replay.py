"""Short forwards, recorded once and replayed: a GPU does a small one faster than it is asked for.

A recording holds for one count of tokens over one span of the cache's rows, for it reads and writes
where it did when it was made. What differs from one forward to the next, the tokens and where they
stand, it reads from two tensors; a mask hides the rows beyond the text.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import torch

from specprof.engine.cache import Frame, Placement, Store
from specprof.engine.decoder import CausalModel, Runs
from specprof.engine.flat.decoder import Flat
from specprof.engine.loop import Engine
from specprof.engine.masks import attention_mask

MOST = 32
"""Tokens of the widest forward that is recorded; a wider one keeps a GPU busy as it is."""
LONGEST = 4096
"""Rows of the longest span. Beyond it attention is most of a forward, and attention over a span is
given rows to hide and a mask. Chosen, not measured: no GPU was at hand."""
STEP = 256
"""Rows the shortest spans differ by; longer ones by an eighth of their length at most."""

Work = Callable[[], torch.Tensor]


class Recorder(Protocol):
    """Records work on a device; what work asks of the host happens only while it is recorded."""

    def record(self, work: Work) -> tuple[Callable[[], object], torch.Tensor]:
        """Return what does the work again, and the tensor that holds its result each time."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A forward, ready to be replayed."""

    tokens: torch.Tensor
    """[n] read by every replay."""
    start: torch.Tensor
    """[] the position of the first of them, read by every replay."""
    again: Callable[[], object]
    logits: torch.Tensor
    """[n, vocab] written by every replay."""

    def play(self, tokens: torch.Tensor, start: int) -> torch.Tensor:
        """Return [n, vocab] logits of [n] tokens from position `start` on, a copy of their own."""
        self.tokens.copy_(tokens)
        self.start.fill_(start)
        self.again()
        return self.logits.clone()


class ReplayedModel(CausalModel):
    """A causal model over a dense store whose short forwards are recorded and replayed.

    Trees, prefill, the first token of all, and forwards whose hidden states are read run as ever.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        store: Store,
        device: torch.device,
        vocabulary: int | None = None,
        *,
        runs: Runs,
        recorder: Recorder,
    ) -> None:
        super().__init__(model, store, device, vocabulary, runs=runs)
        self.recorder = recorder
        self.recordings: dict[tuple[int, int], Recording] = {}
        """By count of tokens and span."""
        self.eager = False
        """Whether nothing is replayed for the while: somebody looks into forwards."""

    @torch.inference_mode()
    @torch.inference_mode()
    def ready(self, counts: Collection[int], more: int) -> None:
        """Record ahead the forwards of `counts` tokens that decoding `more` tokens takes."""
        if self.eager or self.features or not self.length:
            return
        ends = range(self.length + 1, min(self.length + more + max(counts), LONGEST) + 1)
        for span in dict.fromkeys(spanned(end, self.store.capacity) for end in ends):
            for count in counts:
                fits = self.length + count <= self.store.capacity
                if fits and (count, span) not in self.recordings:
                    tokens = torch.zeros(count, dtype=torch.int64, device=self.device)
                    self.recordings[count, span] = self._record(tokens, span)

    @torch.inference_mode()
    def _forward(
        self, tokens: torch.Tensor, keep: int, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        count = tokens.shape[0]
        span = spanned(self.length + count, self.store.capacity)
        eager = self.eager or self.features is not None or parents is not None
        if keep or eager or count > MOST or span > LONGEST or not self.length:
            return super()._forward(tokens, keep, parents)
        self.store.place(count, self.device)  # which refuses what it has no room for
        key = count, span
        if key not in self.recordings:
            self.recordings[key] = self._record(tokens, span)
        logits = self.recordings[key].play(tokens, self.length)
        self.store.advance(count)
        self.forwards += 1
        return logits[:, : self.vocabulary]

    def _record(self, tokens: torch.Tensor, span: int) -> Recording:
        """Record a forward of [n] tokens over `span` rows, as it is for these."""
        store, device = self.store, self.device
        if isinstance(self.runs, Flat):
            self.runs.reserve(store.capacity, device)  # a recording's tables must not grow
        given, start = tokens.clone(), tokens.new_full((), self.length)
        ahead = torch.arange(tokens.shape[0], device=device)
        columns = torch.arange(span, device=device)

        def work() -> torch.Tensor:
            rows = start + ahead
            visible = (columns <= rows[:, None])[None]
            place = Placement(rows[None], visible, columns[None])
            store.frame = Frame(rows, span)
            try:
                out = self.runs(
                    given[None],
                    position_ids=place.positions,
                    attention_mask=attention_mask(self.model, place),
                    past_key_values=store,
                    use_cache=True,
                    logits_to_keep=0,
                )
            finally:
                store.frame = None
            logits: torch.Tensor = out.logits[0]
            return logits

        again, logits = self.recorder.record(work)
        return Recording(given, start, again, logits)


def ready(engine: Engine, new_tokens: int) -> None:
    """Record ahead what playing `new_tokens` takes, so that no round is spent on it.

    A draft is fed one token, or two after a round that took them all; a target one by itself, else
    as many as are drafted and one. Whatever else is fed is recorded when it first is.
    """
    for decoder, counts in (
        (engine.target, (1, engine.policy.bound + 1)),
        (engine.drafter.draft, (1, 2)),
    ):
        if isinstance(decoder, ReplayedModel):
            decoder.ready(counts, new_tokens + counts[1])


def spanned(length: int, capacity: int) -> int:
    """Return the span of `length` tokens' rows: few spans for many lengths, none much too long."""
    step = max(STEP, 1 << max(length.bit_length() - 4, 0))
    return min(-(-length // step) * step, capacity)
