"""Decides how a model's forwards are computed: by which path, and whether short ones are replayed.

They are replayed if nothing stands against it, and if replayed logits of a few tokens were shown to
be the model's own on this device. Else `Forwards.replay_reason` says why not.
"""

from dataclasses import replace
from functools import cache, partial
from weakref import WeakKeyDictionary

import torch

from specprof.engine.decoder import CausalModel, Decoder, Forwards, innermost
from specprof.engine.flat.proof import choose_path, explain_difference, fits_twice, logits_of_passes
from specprof.engine.replay.cuda_graphs import CudaGraphs, CudaRecordings
from specprof.engine.replay.model import Recorder, ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import Store
from specprof.engine.stores.masks import has_sliding_layers
from specprof.engine.stores.rotation import length_dependent_scaling
from specprof.engine.stores.window import Window, WindowStore
from specprof.errors import UsageError
from specprof.settings import ForwardPath, Settings

PREFILLED_TOKENS = 8
"""Tokens that the proof's forwards follow."""
MAX_SINKS = 4
"""Sinks of the proof's window."""
PROOF_FORWARDS = ((8, 1), (9, 2), (9, 1), (10, 2), (8, 2))
"""Where each forward of the proof begins, and how many tokens it is fed. Each width is recorded
once, and replayed at other positions and for other tokens."""
MASKED_KINDS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers that see what a script's mask shows, as long as no layer slides."""
Known = dict[tuple[ForwardPath, type[Store]], str | None]
_proven: "WeakKeyDictionary[torch.nn.Module, Known]" = WeakKeyDictionary()
"""By model, then path and kind of cache: why its forwards can't be replayed; None if they can."""


@cache
def recorder_for(device: torch.device) -> Recorder | None:
    """Return what records forwards on a device; None if nothing does."""
    if device.type == "cuda":
        return partial(CudaRecordings, recorder=CudaGraphs(device))
    return TorchScripts if device.type == "cpu" else None


def decide(
    model: torch.nn.Module, store: Store, device: torch.device, settings: Settings
) -> Forwards:
    """Return how forwards of `model` over stores of the kind of `store` are computed in a run.

    Raises UsageError if the settings demand a path or replays that are not possible, and
    EnvironmentMissing if not even the model's modules can be run.
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
            known[key] = _prove(model, store, replayed)
        if known[key] is None:
            return replayed
        reason = known[key]
    if reason and settings.graphs == "on":
        raise _unmet_demand(reason)
    return replace(chosen, replay_reason=reason)


def open_decoder(
    model: torch.nn.Module,
    store: Store,
    device: torch.device,
    vocabulary: int | None,
    forwards: Forwards,
) -> CausalModel:
    """Return a decoder of `model` over `store`; it replays if `forwards` has a recorder."""
    kind = ReplayedModel if forwards.recorder else CausalModel
    return kind(model, store, device, vocabulary, forwards=forwards)


def check_replayed(decoder: Decoder, settings: Settings) -> None:
    """Raise UsageError if `graphs` is on and a drafter's hooks keep a decoder from replaying."""
    replayed, reason = replay_status(decoder)
    if settings.graphs == "on" and replayed is False and reason:
        raise _unmet_demand(reason)


def _unmet_demand(reason: str) -> UsageError:
    return UsageError(f"graphs were asked for: {reason}", "use --set graphs=auto, or graphs=off")


def _hindrance(
    model: torch.nn.Module, store: Store, recorder: Recorder | None, settings: Settings
) -> str | None:
    """Return why forwards are not replayed in such a run, before any proof; None: try the proof."""
    if recorder is None:
        return "nothing records them on its device"
    if settings.batch > 1:
        return "a batch's forwards are padded anew each time"
    if settings.detail == "module":
        return "a replay has no modules whose time could be measured"
    if scaling := length_dependent_scaling(model):  # it changes beyond the lengths of the proof
        return f"the angles of its {scaling} RoPE depend on the length"
    if recorder is TorchScripts:
        return _unscriptable(model, store)
    return None if type(store) is Store else "its cache moves rows, or holds them in another form"


def _unscriptable(model: torch.nn.Module, store: Store) -> str | None:
    """Return why a CPU can't replay forwards, or why it would save too little."""
    if type(store) not in (Store, WindowStore):
        return "its cache holds rows in another form"
    if has_sliding_layers(model):
        return "its layers slide: what they compute depends on the length"
    config = model.config.get_text_config()  # type: ignore[operator,union-attr]
    other = set(getattr(config, "layer_types", None) or ()) - MASKED_KINDS
    if other:
        return f"it has {min(other)} layers: what they see may depend on the length"
    large = "it is so large that asking for a forward takes next to no time"
    return None if fits_twice(model) else large


def replay_status(decoder: Decoder | None) -> tuple[bool | None, str | None]:
    """Return whether a decoder's short forwards are replayed, and if not, why.

    The first is None if the decoder has no forwards.
    """
    within = innermost(decoder)
    if not isinstance(within, CausalModel):
        return None, None
    hooks = "its hidden states are read" if within.features else None
    reason = within.how.replay_reason or hooks
    return reason is None, reason


def _prove(model: torch.nn.Module, store: Store, forwards: Forwards) -> str | None:
    """Record and replay a few forwards; return what went wrong; None if the logits agree."""
    try:
        ours = _logits(model, _small_store(store), forwards)
    except Exception as trouble:  # noqa: BLE001 - forwards can still run eagerly
        return f"recording failed: {str(trouble).strip().partition(chr(10))[0]}"
    theirs = _logits(model, _small_store(store), replace(forwards, recorder=None))
    return explain_difference(
        ours, theirs, next(model.parameters()).dtype, "replayed logits differ"
    )


def _small_store(store: Store) -> Store:
    """Return an empty store of the kind of `store` with room for the proof's tokens.

    A window is so small that it moves from the first forward of the proof on.
    """
    capacity = 1 + max(start + count for start, count in PROOF_FORWARDS)
    if not isinstance(store, WindowStore):
        return Store(len(store.layers), capacity)
    window = Window(
        sinks=min(store.window.sinks, MAX_SINKS), recent=PREFILLED_TOKENS - MAX_SINKS - 1
    )
    return WindowStore(store.rotations, window, capacity, reach=capacity, rows=capacity)


def _logits(model: torch.nn.Module, store: Store, forwards: Forwards) -> torch.Tensor:
    """Return [tokens, vocab] the logits of the proof's forwards, replayed if they can be."""
    size = model.config.get_text_config().vocab_size  # type: ignore[operator,union-attr]
    device = next(model.parameters()).device
    decoder = open_decoder(model, store, device, None, forwards)

    def record(count: int) -> None:
        if isinstance(decoder, ReplayedModel):
            decoder.record_widths([count])
            for trouble in decoder.refused.values():
                raise trouble

    decoder.prefill([number % size for number in range(PREFILLED_TOKENS)])
    passes = [
        (start, (torch.arange(count, device=device) * 31 + 7 * number + 1) % size)
        for number, (start, count) in enumerate(PROOF_FORWARDS)
    ]
    return logits_of_passes(decoder, passes, record)
