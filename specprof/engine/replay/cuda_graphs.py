"""Forwards recorded as CUDA graphs: one for each count of tokens and each span of the cache's rows.

A graph reads and writes where it did when it was made. What differs from one forward to the next,
the tokens and where they stand, it reads from two tensors; a mask hides the rows beyond the text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from specprof.engine.flat.decoder import Flat
from specprof.engine.releases import with_cache
from specprof.engine.replay.model import Key, Play, ReplayedModel
from specprof.engine.stores.dense import Frame, Placement
from specprof.engine.stores.masks import attention_mask

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


class CudaGraphs:
    """Records on a CUDA device; all recordings of one share their scratch memory.

    They may: one is replayed at a time, and what it found is copied before the next one is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Work) -> tuple[Callable[[], object], torch.Tensor]:
        """Return what does the work again, and the tensor that holds its result each time.

        Work is done twice before it counts, off the current stream: libraries choose kernels and
        make workspaces, which can't be recorded.
        """
        with torch.cuda.device(self.device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                work()
                work()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Only this thread's calls can spoil it: another one reads the driver's counters.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                found = work()
        return graph.replay, found


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


class CudaRecordings:
    """The recordings of one decoder over a dense store."""

    def __init__(self, decoder: ReplayedModel, recorder: Recorder) -> None:
        self.decoder = decoder
        self.recorder = recorder
        self.recordings: dict[Key, Recording] = {}

    def key(self, count: int) -> Key | None:
        """Return the count and the span; None where that is too long to be worth it."""
        store = self.decoder.store
        span = spanned(store.length + count, store.capacity)
        return None if span > LONGEST else (count, span)

    def found(self, key: Key) -> Play | None:
        """Return what replays the forward, if it was recorded."""
        recording, store = self.recordings.get(key), self.decoder.store
        if recording is None:
            return None
        return lambda tokens, _: recording.play(tokens, store.length)

    def record(self, key: Key) -> None:
        """Record a forward as it would be now, over the rows of its span."""
        count, span = key
        assert isinstance(span, int)  # noqa: S101 - it is one of our own keys
        decoder = self.decoder
        store, device = decoder.store, decoder.device
        compute = decoder.how.compute
        if isinstance(compute, Flat):
            compute.reserve(store.capacity, device)  # a recording's tables must not grow
        tokens = torch.zeros(count, dtype=torch.int64, device=device)
        start = torch.full((), store.length, dtype=torch.int64, device=device)
        ahead = torch.arange(count, device=device)
        columns = torch.arange(span, device=device)

        def work() -> torch.Tensor:
            rows = start + ahead
            visible = (columns <= rows[:, None])[None]
            place = Placement(rows[None], visible, columns[None])
            store.frame = Frame(rows, span)
            try:
                out = compute(
                    tokens[None],
                    position_ids=place.positions,
                    attention_mask=attention_mask(decoder.model, place),
                    **with_cache(compute, store),
                    use_cache=True,
                    logits_to_keep=0,
                )
            finally:
                store.frame = None
            logits: torch.Tensor = out.logits[0]
            return logits

        self.recordings[key] = Recording(tokens, start, *self.recorder.record(work))


def spanned(length: int, capacity: int) -> int:
    """Return the span of `length` tokens' rows: few spans for many lengths, none much too long."""
    step = max(STEP, 1 << max(length.bit_length() - 4, 0))
    return min(-(-length // step) * step, capacity)
