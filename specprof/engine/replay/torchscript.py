"""Forwards recorded as TorchScript, for a CPU: one for each count of tokens, at any length.

torch's interpreter asks for an operation several times as fast as Python does, and asking is a
large part of a small model's forward. A script takes all it reads as arguments: the stored rows,
and where the tokens stand. So all decoders of a model share it.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from weakref import WeakKeyDictionary

import torch

from specprof.engine.flat.decoder import MIN_TABLE_POSITIONS, Flat
from specprof.engine.releases import with_cache
from specprof.engine.replay.model import Key, Play, ReplayedModel
from specprof.engine.stores.dense import Placement, Store
from specprof.engine.stores.masks import attention_mask
from specprof.engine.stores.window import WindowLayer, WindowStore

CHAIN, WINDOW = "chain", "window"
"""States of a cache: every token sees all tokens before it, or a window and a copy of the sinks."""
OPTIMISING_RUNS = 2
"""Runs that torch takes to optimise a script."""

Script = Callable[..., torch.Tensor]
_scripts: "WeakKeyDictionary[torch.nn.Module, dict[tuple[object, ...], Script]]" = (
    WeakKeyDictionary()
)
"""By model, then path, positions in its tables, sinks, count of tokens and state of the cache."""


class TorchScripts:
    """The recordings of one decoder, shared with all decoders of its model."""

    def __init__(self, decoder: ReplayedModel) -> None:
        self.decoder = decoder
        self._known = _scripts.setdefault(decoder.model, {})
        flat = isinstance(decoder.how.compute, Flat)
        store = decoder.store
        self._reserved = 1 << max(store.capacity, MIN_TABLE_POSITIONS).bit_length()
        sinks = store.window.sinks if isinstance(store, WindowStore) else 0
        self._kind = (flat, self._reserved, sinks)

    def key(self, count: int) -> Key | None:
        """Return the count and the state of the cache; None while tokens become sinks."""
        store = self.decoder.store
        if not isinstance(store, WindowStore):
            return count, CHAIN
        if store.length < store.window.sinks:
            return None
        return count, WINDOW if store.window.evicted(store.length + count - 1) else CHAIN

    def find(self, key: Key) -> Play | None:
        """Return what replays the forward, if it was recorded for some decoder of the model."""
        script = self._known.get((*self._kind, *key))
        return partial(self._play, script) if script else None

    def record(self, key: Key) -> None:
        """Record a forward of the current cache state; run it until torch has optimised it."""
        count, state = key
        decoder = self.decoder
        tokens = torch.zeros(count, dtype=torch.int64, device=decoder.device)
        given = list(self._arguments(decoder.store.place(count, decoder.device)))
        if isinstance(compute := decoder.how.compute, Flat):
            compute.reserve(self._reserved, decoder.device, count)
        work = self._windowed if state == WINDOW else self._chained(count)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tracing is deprecated; that constants are frozen
            script = trace(work, (tokens, *given))
        for _ in range(OPTIMISING_RUNS):
            script(tokens, *given)
        self._known[*self._kind, *key] = script

    def _play(self, script: Script, tokens: torch.Tensor, place: Placement) -> torch.Tensor:
        return script(tokens, *self._arguments(place))

    def _arguments(self, place: Placement) -> Iterator[torch.Tensor]:
        """Yield what a forward reads: where its tokens stand, what they see, all layers' rows."""
        store = self.decoder.store
        yield torch.tensor(store.length - store.dropped)
        if place.visible is not None:
            assert isinstance(store, WindowStore)  # noqa: S101 - in a dense store a chain hides no rows
            mask = attention_mask(self.decoder.model, place)
            assert isinstance(mask, torch.Tensor)  # noqa: S101 - a model whose layers slide isn't replayed
            yield torch.tensor(store.seen_from)
            yield place.positions
            yield mask
            for circle in store.circles.values():
                yield from circle
        for layer in store.layers:
            yield layer.keys
            yield layer.values
            if place.visible is not None:
                yield layer.sinks
                yield layer.quarter

    def _chained(self, count: int) -> Script:
        """Return a forward over a store whose tokens see all tokens before them."""
        decoder, flat = self.decoder, isinstance(self.decoder.how.compute, Flat)
        ahead = torch.arange(count)
        hidden = torch.arange(self._reserved) > torch.arange(-count, 0)[:, None] + self._reserved
        dtype = next(decoder.model.parameters()).dtype
        edge = torch.zeros(hidden.shape, dtype=dtype)
        edge.masked_fill_(hidden, torch.finfo(dtype).min)

        def work(tokens: torch.Tensor, start: torch.Tensor, *rows: torch.Tensor) -> torch.Tensor:
            store = Store(len(rows) // 2, self._reserved)
            _show_state(store, start, rows)
            mask = None if flat else edge[:, self._reserved - start - count :][None, None]
            return self._logits(tokens, (start + ahead)[None], mask, store)

        return work

    def _windowed(
        self,
        tokens: torch.Tensor,
        start: torch.Tensor,
        seen_from: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        *rest: torch.Tensor,
    ) -> torch.Tensor:
        """Return the logits of a forward whose tokens see the sinks and a window."""
        store = copy.copy(self.decoder.store)
        assert isinstance(store, WindowStore)  # noqa: S101 - no other store has windows
        turned, rows = rest[: 2 * len(store.circles)], rest[2 * len(store.circles) :]
        circles = zip(turned[::2], turned[1::2], strict=True)
        store.circles = dict(zip(store.circles, circles, strict=True))
        store.seen_from = seen_from  # type: ignore[assignment]  # as with the length
        store.dropped = 0
        store.layers = [copy.copy(layer) for layer in store.layers]
        _show_state(store, start, rows)
        return self._logits(tokens, positions, mask, store)

    def _logits(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        store: Store,
    ) -> torch.Tensor:
        compute = self.decoder.how.compute
        out = compute(
            tokens[None],
            position_ids=positions,
            attention_mask=mask,
            **with_cache(compute, store),
            use_cache=True,
            logits_to_keep=0,
        )
        logits: torch.Tensor = out.logits[0]
        return logits


def trace(work: Script, given: tuple[torch.Tensor, ...]) -> Script:
    """Return a script of what `work` computes from tensors like those `given`.

    The script owns its constants, a model's weights among them, and they are freed with it. What
    `torch.jit.trace` returns is kept by the process for good, and the weights with it.
    """
    graph, _ = torch._C._create_graph_by_tracing(work, given, lambda _: "", True, False)  # noqa: SLF001
    script: Script = torch._C._create_function_from_graph("forward", graph)  # noqa: SLF001
    return script


def _show_state(store: Store, length: torch.Tensor, rows: Sequence[torch.Tensor]) -> None:
    """Replace a store's state by tensors, so that what is computed from them is recorded."""
    store.length = length  # type: ignore[assignment]  # it stands for a number
    each = iter(rows)
    for layer in store.layers:
        layer.store, layer.is_initialized = store, True
        layer.keys, layer.values = next(each), next(each)
        if isinstance(layer, WindowLayer):
            layer.window_store = store
            layer.sinks, layer.quarter = next(each), next(each)
