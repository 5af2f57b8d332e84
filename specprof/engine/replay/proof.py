"""Whether a model's short forwards are recorded and replayed, and if not, why."""

from collections.abc import Callable
from functools import cache, partial
from weakref import WeakKeyDictionary

import torch

from specprof.engine.decoder import CausalModel, Decoder, Runs, innermost
from specprof.engine.flat.proof import small, unlike
from specprof.engine.replay.cuda_graphs import CudaGraphs, CudaRecordings
from specprof.engine.replay.model import Recordings, ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import Store
from specprof.engine.stores.masks import slides
from specprof.engine.stores.rotation import length_bound
from specprof.engine.stores.window import Window, WindowStore
from specprof.errors import NOT_FINITE, UsageError
from specprof.settings import Settings

PREFILLED = 8
SINKS = 4
"""Most sinks of the proof's window."""
PROVEN = ((8, 1), (9, 2), (9, 1), (10, 2), (8, 2))
"""Forwards of the proof: where each begins, and how many tokens it is fed. Either width is recorded
once and replayed elsewhere, and for other tokens."""
SEEN = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose view a script's mask says, where none of them slides."""
_refusals: "WeakKeyDictionary[torch.nn.Module, dict[str, str | None]]" = WeakKeyDictionary()
"""By model, path and kind of cache, why its forwards can't be replayed; None: they can."""


Recorder = Callable[[ReplayedModel], Recordings]
"""Makes the recordings of a decoder."""


@cache
def recorder(device: torch.device) -> Recorder | None:
    """Return what records forwards on a device; None where nothing does."""
    if device.type == "cuda":
        return partial(CudaRecordings, recorder=CudaGraphs(device))
    return TorchScripts if device.type == "cpu" else None


def opened(
    model: torch.nn.Module,
    store: Store,
    device: torch.device,
    vocabulary: int,
    *,
    runs: Runs,
    settings: Settings,
) -> CausalModel:
    """Return a decoder of `model` over `store` that replays its short forwards where it can.

    Raises UsageError where `graphs` is on and they can't be.
    """
    records = recorder(device)
    reason = refusal(model, store, records, runs=runs, settings=settings)
    if records and not reason:
        return ReplayedModel(model, store, device, vocabulary, runs=runs, recordings=records)
    found = CausalModel(model, store, device, vocabulary, runs=runs)
    found.unreplayed = reason
    return found


def refusal(
    model: torch.nn.Module,
    store: Store,
    records: Recorder | None,
    *,
    runs: Runs,
    settings: Settings,
) -> str | None:
    """Return why forwards over `store` are not replayed; None: they can be, and are to be.

    Raises UsageError where `graphs` is on and they can't be.
    """
    if settings.graphs == "off":
        return "they were turned off"
    reason = _hindrance(model, store, records, settings)
    if reason is None and records is not None:
        known = _refusals.setdefault(model, {})
        key = f"{'modules' if runs is model else 'flat'} {type(store).__name__}"
        if key not in known:
            known[key] = _tried(model, store, runs, records)
        reason = known[key]
    if reason and settings.graphs == "on":
        raise _unmet(reason)
    return reason


def check_replayed(decoder: Decoder, settings: Settings) -> None:
    """Raise UsageError where `graphs` is on and whoever drafts has a decoder's forwards heard."""
    replayed, reason = replays(decoder)
    if settings.graphs == "on" and replayed is False and reason:
        raise _unmet(reason)


def _unmet(reason: str) -> UsageError:
    return UsageError(f"graphs were asked for: {reason}", "use --set graphs=auto, or graphs=off")


def _hindrance(
    model: torch.nn.Module, store: Store, records: Recorder | None, settings: Settings
) -> str | None:
    """Return what keeps forwards from being replayed in such a run, whatever they compute."""
    if records is None:
        return "nothing records them on its device"
    if settings.batch > 1:
        return "a batch's forwards are padded anew each time"
    if settings.detail == "module":
        return "a replay has no modules whose time could be told"
    if scaling := length_bound(model):  # beyond where the proof looks, a branch of Python's
        return f"the angles of its {scaling} RoPE depend on the length"
    if records is TorchScripts:
        return _unscriptable(model, store)
    return None if type(store) is Store else "its cache moves rows, or holds them otherwise"


def _unscriptable(model: torch.nn.Module, store: Store) -> str | None:
    """Return what keeps a CPU from replaying, or makes it not worth it."""
    if type(store) not in (Store, WindowStore):
        return "its cache holds rows in another form"
    if slides(model):
        return "its layers slide: what they compute depends on the length"
    config = model.config.get_text_config()  # type: ignore[operator,union-attr]
    other = set(getattr(config, "layer_types", None) or ()) - SEEN
    if other:
        return f"it has {min(other)} layers: what they see may depend on the length"
    return None if small(model) else "it is so large that asking for a forward is next to nothing"


def replays(decoder: Decoder | None) -> tuple[bool | None, str | None]:
    """Return whether a decoder's short forwards are replayed, and why not; None: it has none."""
    within = innermost(decoder)
    if not isinstance(within, CausalModel):
        return None, None
    heard = "its hidden states are read" if within.features else None
    reason = within.unreplayed or heard
    return reason is None, reason


def _tried(model: torch.nn.Module, store: Store, runs: Runs, records: Recorder) -> str | None:
    """Record and replay a few forwards; return what went wrong, or how far their logits are off."""
    try:
        ours = _logits(model, _little(store), runs, records)
    except Exception as trouble:  # noqa: BLE001 - whatever a recorder meets, there is the eager way
        return f"recording failed: {str(trouble).strip().partition(chr(10))[0]}"
    theirs = _logits(model, _little(store), runs, None)
    if not theirs.isfinite().all():
        return f"its {NOT_FINITE} or infinity"
    found = unlike(ours, theirs, next(model.parameters()).dtype)
    return f"replayed logits differ by {found}" if found else None


def _little(store: Store) -> Store:
    """Return an empty store of the same kind that holds the proof's tokens.

    A window so small that it moves from the first of them on; before that it is as a dense store.
    """
    capacity = 1 + max(start + count for start, count in PROVEN)
    if not isinstance(store, WindowStore):
        return Store(len(store.layers), capacity)
    window = Window(sinks=min(store.window.sinks, SINKS), recent=PREFILLED - SINKS - 1)
    return WindowStore(store.rotations, window, capacity, reach=capacity, rows=capacity)


def _logits(
    model: torch.nn.Module, store: Store, runs: Runs, records: Recorder | None
) -> torch.Tensor:
    """Return [tokens, vocab] the logits of the proof's forwards, replayed where `records` is."""
    config = model.config.get_text_config()  # type: ignore[operator,union-attr]
    device = next(model.parameters()).device
    if records is None:
        decoder = CausalModel(model, store, device, runs=runs)
    else:
        decoder = ReplayedModel(model, store, device, runs=runs, recordings=records)
    decoder.prefill([number % config.vocab_size for number in range(PREFILLED)])
    found: list[torch.Tensor] = []
    for start, count in PROVEN:
        decoder.rollback(start)
        if isinstance(decoder, ReplayedModel):
            decoder.ready([count])
            for trouble in decoder.refused.values():
                raise trouble
        tokens = torch.arange(count, device=device) * 31 + 7 * len(found) + 1
        found.append(decoder.feed(tokens % config.vocab_size))
    return torch.cat(found)
