"""How a model's forwards are computed: by which path, and whether short ones are replayed."""

from dataclasses import replace
from functools import cache, partial
from weakref import WeakKeyDictionary

import torch

from specprof.engine.decoder import CausalModel, Decoder, Forwards, innermost
from specprof.engine.flat.proof import answers, choose_path, difference, fits_twice
from specprof.engine.replay.cuda_graphs import CudaGraphs, CudaRecordings
from specprof.engine.replay.model import Recorder, ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import Store
from specprof.engine.stores.masks import has_sliding_layers
from specprof.engine.stores.rotation import length_dependent_scaling
from specprof.engine.stores.window import Window, WindowStore
from specprof.errors import UsageError
from specprof.settings import ForwardPath, Settings

PREFILLED = 8
SINKS = 4
"""Most sinks of the proof's window."""
PROVEN = ((8, 1), (9, 2), (9, 1), (10, 2), (8, 2))
"""Forwards of the proof: where each begins, and how many tokens it is fed. Either width is recorded
once and replayed elsewhere, and for other tokens."""
SEEN = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose view a script's mask says, where none of them slides."""
Known = dict[tuple[ForwardPath, type[Store]], str | None]
_proven: "WeakKeyDictionary[torch.nn.Module, Known]" = WeakKeyDictionary()
"""By model, path and kind of cache, why its forwards can't be replayed; None: they can."""


@cache
def recorder_for(device: torch.device) -> Recorder | None:
    """Return what records forwards on a device; None where nothing does."""
    if device.type == "cuda":
        return partial(CudaRecordings, recorder=CudaGraphs(device))
    return TorchScripts if device.type == "cpu" else None


def decide(
    model: torch.nn.Module, store: Store, device: torch.device, settings: Settings
) -> Forwards:
    """Return how forwards of `model` over stores of that kind are computed in such a run.

    Raises UsageError where the path or the graphs asked for by name can't be had,
    EnvironmentMissing where not even the model's modules can be run.
    """
    chosen, recorder = choose_path(model, settings.path), recorder_for(device)
    if settings.graphs == "off":
        return replace(chosen, replay_reason="they were turned off")
    reason = _hindrance(model, store, recorder, settings)
    if reason is None and recorder is not None:
        replayed = replace(chosen, recorder=recorder, replay_reason=None)
        known = _proven.setdefault(model, {})
        key = chosen.path, type(store)
        if key not in known:
            known[key] = _tried(model, store, replayed)
        if known[key] is None:
            return replayed
        reason = known[key]
    if reason and settings.graphs == "on":
        raise _unmet(reason)
    return replace(chosen, replay_reason=reason)


def open_decoder(
    model: torch.nn.Module,
    store: Store,
    device: torch.device,
    vocabulary: int | None,
    forwards: Forwards,
) -> CausalModel:
    """Return a decoder of `model` over `store` that replays its short forwards where it can."""
    kind = ReplayedModel if forwards.recorder else CausalModel
    return kind(model, store, device, vocabulary, forwards=forwards)


def check_replayed(decoder: Decoder, settings: Settings) -> None:
    """Raise UsageError where `graphs` is on and the drafter has hooks on a decoder's forwards."""
    replayed, reason = replays(decoder)
    if settings.graphs == "on" and replayed is False and reason:
        raise _unmet(reason)


def _unmet(reason: str) -> UsageError:
    return UsageError(f"graphs were asked for: {reason}", "use --set graphs=auto, or graphs=off")


def _hindrance(
    model: torch.nn.Module, store: Store, recorder: Recorder | None, settings: Settings
) -> str | None:
    """Return what keeps forwards from being replayed in such a run, whatever they compute."""
    if recorder is None:
        return "nothing records them on its device"
    if settings.batch > 1:
        return "a batch's forwards are padded anew each time"
    if settings.detail == "module":
        return "a replay has no modules whose time could be told"
    if scaling := length_dependent_scaling(
        model
    ):  # beyond where the proof looks, a branch of Python's
        return f"the angles of its {scaling} RoPE depend on the length"
    if recorder is TorchScripts:
        return _unscriptable(model, store)
    return None if type(store) is Store else "its cache moves rows, or holds them otherwise"


def _unscriptable(model: torch.nn.Module, store: Store) -> str | None:
    """Return what keeps a CPU from replaying, or makes it not worth it."""
    if type(store) not in (Store, WindowStore):
        return "its cache holds rows in another form"
    if has_sliding_layers(model):
        return "its layers slide: what they compute depends on the length"
    config = model.config.get_text_config()  # type: ignore[operator,union-attr]
    other = set(getattr(config, "layer_types", None) or ()) - SEEN
    if other:
        return f"it has {min(other)} layers: what they see may depend on the length"
    large = "it is so large that asking for a forward is next to nothing"
    return None if fits_twice(model) else large


def replays(decoder: Decoder | None) -> tuple[bool | None, str | None]:
    """Return whether a decoder's short forwards are replayed, and why not; None: it has none."""
    within = innermost(decoder)
    if not isinstance(within, CausalModel):
        return None, None
    hooks = "its hidden states are read" if within.features else None
    reason = within.how.replay_reason or hooks
    return reason is None, reason


def _tried(model: torch.nn.Module, store: Store, forwards: Forwards) -> str | None:
    """Record and replay a few forwards; return what went wrong, or how far their logits are off."""
    try:
        ours = _logits(model, _little(store), forwards)
    except Exception as trouble:  # noqa: BLE001 - whatever a recorder meets, there is the eager way
        return f"recording failed: {str(trouble).strip().partition(chr(10))[0]}"
    theirs = _logits(model, _little(store), replace(forwards, recorder=None))
    return difference(ours, theirs, next(model.parameters()).dtype, "replayed logits differ")


def _little(store: Store) -> Store:
    """Return an empty store of the same kind that holds the proof's tokens.

    A window so small that it moves from the first of them on; before that it is as a dense store.
    """
    capacity = 1 + max(start + count for start, count in PROVEN)
    if not isinstance(store, WindowStore):
        return Store(len(store.layers), capacity)
    window = Window(sinks=min(store.window.sinks, SINKS), recent=PREFILLED - SINKS - 1)
    return WindowStore(store.rotations, window, capacity, reach=capacity, rows=capacity)


def _logits(model: torch.nn.Module, store: Store, forwards: Forwards) -> torch.Tensor:
    """Return [tokens, vocab] the logits of the proof's forwards, replayed if they are recorded."""
    size = model.config.get_text_config().vocab_size  # type: ignore[operator,union-attr]
    device = next(model.parameters()).device
    decoder = open_decoder(model, store, device, None, forwards)

    def record(count: int) -> None:
        if isinstance(decoder, ReplayedModel):
            decoder.ready([count])
            for trouble in decoder.refused.values():
                raise trouble

    decoder.prefill([number % size for number in range(PREFILLED)])
    passes = [
        (start, (torch.arange(count, device=device) * 31 + 7 * number + 1) % size)
        for number, (start, count) in enumerate(PROVEN)
    ]
    return answers(decoder, passes, record)
