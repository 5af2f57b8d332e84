"""Forwards recorded as CUDA graphs: one for each count of tokens and each span of cache rows.

A graph reads and writes the same memory at every replay. What differs between forwards, the tokens
and where they stand, is read from two tensors. A mask hides the rows beyond the text.
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

MAX_SPAN_ROWS = 4096
"""Beyond it attention takes most of a forward, and attention over a span costs extra: it computes
hidden rows, and takes a mask. Chosen, not measured: no GPU was at hand."""
SPAN_STEP_ROWS = 256
"""What the shortest spans differ by; longer spans differ by an eighth of their length at most."""

Work = Callable[[], torch.Tensor]


class Recorder(Protocol):
    """Records work on a device. Python code of the work runs only while it is recorded."""

    def record(self, work: Work) -> tuple[Callable[[], object], torch.Tensor]:
        """Return what repeats the work, and the tensor that then holds its result."""


class CudaGraphs:
    """Records on a CUDA device. All recordings of one recorder share their scratch memory.

    This is safe: one recording is replayed at a time, and its result is copied before the next.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Work) -> tuple[Callable[[], object], torch.Tensor]:
        """Return what repeats the work, and the tensor that then holds its result.

        The work is first done twice on another stream: libraries then choose kernels and make
        workspaces, which can't be recorded.
        """
        with torch.cuda.device(self.device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                work()
                work()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads may call CUDA meanwhile: one reads the driver's counters.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                found = work()
        return graph.replay, found


@dataclass(frozen=True, slots=True)
class Recording:
    """A forward, ready to be replayed."""

    tokens: torch.Tensor
    """[n] read by every replay."""
    start: torch.Tensor
    """[] the position of the first token, read by every replay."""
    again: Callable[[], object]
    logits: torch.Tensor
    """[n, vocab] written by every replay."""

    def play(self, tokens: torch.Tensor, start: int) -> torch.Tensor:
        """Return [n, vocab] logits of [n] tokens from position `start` on, in their own tensor."""
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
        """Return the count and the span; None if the span is too long for a replay to save time."""
        store = self.decoder.store
        span = choose_span(store.length + count, store.capacity)
        return None if span > MAX_SPAN_ROWS else (count, span)

    def find(self, key: Key) -> Play | None:
        """Return what replays the forward, if it was recorded."""
        recording, store = self.recordings.get(key), self.decoder.store
        if recording is None:
            return None
        return lambda tokens, _: recording.play(tokens, store.length)

    def record(self, key: Key) -> None:
        """Record a forward from the current length on, over the rows of its span."""
        count, span = key
        assert isinstance(span, int)  # noqa: S101 - the second part of `key()`
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


def choose_span(length: int, capacity: int) -> int:
    """Return how many rows to attend to for `length` tokens: few values, none much too large."""
    step = max(SPAN_STEP_ROWS, 1 << max(length.bit_length() - 4, 0))
    return min(-(-length // step) * step, capacity)
