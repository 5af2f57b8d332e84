"""Compare the bytes of caches and allocator with the formula that refuses too large runs."""

import gc
from collections.abc import Iterator

import torch
from on_gpu.pairs import Pair, load_pair, named_pair, shape_pair
from on_gpu.rows import NEEDS_CUDA, Ask, Bounds, Row, guard_rows

from specprof import registry
from specprof.bench.repeated import Repeated
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import choose_path
from specprof.engine.setup.loading import Loaded
from specprof.engine.stores.dense import Store
from specprof.extend import Cache

EXACT_BOUNDS: Bounds = {"at_least": 0.99, "at_most": 1.01}
CACHE_BOUNDS: dict[str, Bounds] = {
    "dense": EXACT_BOUNDS,
    "sink-window": {"at_least": 0.99, "at_most": 1.05},
}
"""Cache -> its bytes over the formula's; a window keeps its sinks a second time, as written."""
MAX_GROWTH_BYTES = 2**20
"""Bytes that a run may hold more after many plays than after one: rounds leave none behind."""
PLAYS = 8


def rows(ask: Ask) -> Iterator[Row]:
    """Yield the bytes of every cache, the allocator's for it, and the bytes rounds leave behind."""
    long = {"context": ask.few(20_000, 48)}
    for pair in (named_pair(ask, **long), shape_pair(ask, "llama-8b", "llama-1b", **long)):
        yield from guard_rows(ask, pair.name, _store_rows(ask, pair))
    yield from guard_rows(ask, "plays", _growth_rows(ask))


def _store_rows(ask: Ask, pair: Pair) -> Iterator[Row]:
    """Yield for each kind of cache its bytes over the formula's for its length and kind."""
    loaded = load_pair(pair.settings)
    _open_store(
        ask, pair, loaded, "dense", 64
    )  # so that workspaces and fused weights are allocated
    capacity = pair.settings.context + 64
    for kind in registry.members("cache"):
        rows_ = registry.get(Cache, kind)(pair.settings).held(capacity)
        before = _read_allocated(ask)
        store = _open_store(ask, pair, loaded, kind, capacity)
        given = _read_allocated(ask)
        whole = count_layer_bytes(store) + count_own_bytes(store)
        what = f"{pair.name}: {kind}, {rows_} rows"
        yield Row(
            what=f"{what}, over the formula",
            figure=count_layer_bytes(store) / (loaded.facts.kv_bytes_per_token * rows_),
            unit="bytes/bytes",
            **CACHE_BOUNDS.get(kind, {}),
            anywhere=True,
            note="8 bits and a scale a row, over rows as they are" if kind == "quantised" else "",
        )
        yield Row(
            what=f"{what}, allocator over its tensors",
            figure=None if given is None or before is None else (given - before) / whole,
            unit="bytes/bytes",
            **EXACT_BOUNDS,
            note="" if ask.cuda else NEEDS_CUDA,
        )
        del store


def _open_store(ask: Ask, pair: Pair, loaded: Loaded, kind: str, capacity: int) -> Store:
    """Return a cache with its rows allocated, which happens at the first write."""
    store = registry.get(Cache, kind)(pair.settings).open(loaded.model, capacity)
    forwards = choose_path(loaded.model, pair.settings.path)
    CausalModel(loaded.model, store, ask.device, forwards=forwards).prefill([1])
    return store


def count_layer_bytes(store: Store) -> int:
    """Return the bytes of all tensors in a store's layers."""
    return sum(count_own_bytes(layer) for layer in store.layers)


def count_own_bytes(thing: object) -> int:
    """Return the bytes of the tensors that are attributes of `thing`; a store's are positions."""
    return sum(each.nbytes for each in vars(thing).values() if isinstance(each, torch.Tensor))


def _growth_rows(ask: Ask) -> Iterator[Row]:
    """Yield the bytes that many plays leave allocated beyond one play's, and a play's peak."""
    pair = named_pair(ask)
    loop = Repeated(pair.settings, ask.folder)
    loop.play("evidence")
    before = _read_allocated(ask)
    if ask.cuda:
        torch.cuda.reset_peak_memory_stats(ask.device)
    rounds = sum(loop.play("evidence", seed=seed).rounds for seed in range(PLAYS))
    after = _read_allocated(ask)
    left = None if before is None or after is None else float(after - before)
    note = f"{rounds} rounds" if ask.cuda else f"{rounds} rounds; {NEEDS_CUDA}"
    yield Row(
        what=f"{pair.name}: allocated after {PLAYS} plays less before",
        figure=left,
        unit="bytes",
        at_most=float(MAX_GROWTH_BYTES),
        note=note,
    )
    peak = torch.cuda.max_memory_allocated(ask.device) if ask.cuda else None
    yield Row(
        what=f"{pair.name}: peak of a play over what stays",
        figure=(peak - after) / 2**20 if peak is not None and after is not None else None,
        unit="MiB",
        note="" if ask.cuda else NEEDS_CUDA,
    )


def _read_allocated(ask: Ask) -> int | None:
    """Return the bytes that the device's allocator has given out; None without CUDA."""
    if not ask.cuda:
        return None
    torch.cuda.synchronize(ask.device)
    gc.collect()  # a store and its layers refer to each other
    return torch.cuda.memory_allocated(ask.device)
