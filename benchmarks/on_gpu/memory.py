"""Bytes: caches and allocator against the formula that a run is refused by when it can't fit."""

import gc
from collections.abc import Iterator

import torch
from on_gpu.pairs import Pair, asked, ready, shaped
from on_gpu.rows import NEEDS_CUDA, Ask, Bounds, Row, apart

from specprof import registry
from specprof.bench.repeated import Repeated
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import choose_path
from specprof.engine.setup.loading import Loaded
from specprof.engine.stores.dense import Store
from specprof.extend import Cache

EXACT: Bounds = {"at_least": 0.99, "at_most": 1.01}
OWED: dict[str, Bounds] = {"dense": EXACT, "sink-window": {"at_least": 0.99, "at_most": 1.05}}
"""Cache -> its bytes over the formula's; a window keeps its sinks a second time, as written."""
GROWTH = 2**20
"""Bytes a run may hold more after many plays than after a few: none of them are a round's."""
PLAYS = 8


def rows(ask: Ask) -> Iterator[Row]:
    """Yield bytes of every cache, what the allocator gave for it, and what rounds leave behind."""
    long = {"context": ask.few(20_000, 48)}
    for pair in (asked(ask, **long), shaped(ask, "llama-8b", "llama-1b", **long)):
        yield from apart(ask, pair.name, _stores(ask, pair))
    yield from apart(ask, "plays", _growth(ask))


def _stores(ask: Ask, pair: Pair) -> Iterator[Row]:
    """Yield, of each kind of cache, the bytes it takes over those its length and kind ask for."""
    loaded = ready(pair.settings)
    _opened(ask, pair, loaded, "dense", 64)  # so that workspaces and fused weights are there
    capacity = pair.settings.context + 64
    for kind in registry.members("cache"):
        rows_ = registry.get(Cache, kind)(pair.settings).held(capacity)
        before = _allocated(ask)
        store = _opened(ask, pair, loaded, kind, capacity)
        given = _allocated(ask)
        whole = tensors(store) + own(store)
        what = f"{pair.name}: {kind}, {rows_} rows"
        yield Row(
            what=f"{what}, over the formula",
            figure=tensors(store) / (loaded.facts.kv_bytes_per_token * rows_),
            unit="bytes/bytes",
            **OWED.get(kind, {}),
            anywhere=True,
            note="8 bits and a scale a row, over rows as they are" if kind == "quantised" else "",
        )
        yield Row(
            what=f"{what}, allocator over its tensors",
            figure=None if given is None or before is None else (given - before) / whole,
            unit="bytes/bytes",
            **EXACT,
            note="" if ask.cuda else NEEDS_CUDA,
        )
        del store


def _opened(ask: Ask, pair: Pair, loaded: Loaded, kind: str, capacity: int) -> Store:
    """Return a cache with its rows reserved, which they are when the first are written."""
    store = registry.get(Cache, kind)(pair.settings).open(loaded.model, capacity)
    forwards = choose_path(loaded.model, pair.settings.path)
    CausalModel(loaded.model, store, ask.device, forwards=forwards).prefill([1])
    return store


def tensors(store: Store) -> int:
    """Return the bytes of all tensors a store's layers hold."""
    return sum(own(layer) for layer in store.layers)


def own(thing: object) -> int:
    """Return the bytes of the tensors that are attributes of `thing`: of a store its positions."""
    return sum(each.nbytes for each in vars(thing).values() if isinstance(each, torch.Tensor))


def _growth(ask: Ask) -> Iterator[Row]:
    """Yield what many plays leave allocated that one does not, and what a play has at its peak."""
    pair = asked(ask)
    loop = Repeated(pair.settings, ask.folder)
    loop.play("evidence")
    before = _allocated(ask)
    if ask.cuda:
        torch.cuda.reset_peak_memory_stats(ask.device)
    rounds = sum(loop.play("evidence", seed=seed).rounds for seed in range(PLAYS))
    after = _allocated(ask)
    left = None if before is None or after is None else float(after - before)
    note = f"{rounds} rounds" if ask.cuda else f"{rounds} rounds; {NEEDS_CUDA}"
    yield Row(
        what=f"{pair.name}: allocated after {PLAYS} plays less before",
        figure=left,
        unit="bytes",
        at_most=float(GROWTH),
        note=note,
    )
    peak = torch.cuda.max_memory_allocated(ask.device) if ask.cuda else None
    yield Row(
        what=f"{pair.name}: peak of a play over what stays",
        figure=(peak - after) / 2**20 if peak is not None and after is not None else None,
        unit="MiB",
        note="" if ask.cuda else NEEDS_CUDA,
    )


def _allocated(ask: Ask) -> int | None:
    """Return the bytes the device's allocator has given out; None where it doesn't tell."""
    if not ask.cuda:
        return None
    torch.cuda.synchronize(ask.device)
    gc.collect()  # a store and its layers know each other
    return torch.cuda.memory_allocated(ask.device)
