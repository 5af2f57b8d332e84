"""Decides which path a model's forwards take: flat, if that is shown to give the model's logits.

The proof compares logits of a few tokens with those of the model's modules. `replay/` shares it.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from transformers import PreTrainedModel

from specprof.engine.decoder import CausalModel, Forwards
from specprof.engine.flat import read
from specprof.engine.flat.decoder import Flat
from specprof.engine.flat.parts import transposed
from specprof.engine.releases import unfit
from specprof.engine.stores.dense import Store
from specprof.errors import NOT_FINITE, SpecprofError, UsageError
from specprof.settings import ForwardPath

FED_TOKENS = (8, 1, 3)
"""Tokens of the proof's forwards: a prefill, a draft step, a verify pass."""
MAX_ROUNDING_ERROR = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Root mean square of errors, as a share of the logits' spread, that rounding explains; by dtype of
the weights."""
MAX_HALF_PRECISION_ERROR = 0.05
"""The same share in half precision: the two paths round at different places."""
MAX_BYTES_HELD_TWICE = 2**28
"""Bytes of weights that a CPU may hold a second time, laid out for multiplication by few rows."""

_flats: "WeakKeyDictionary[torch.nn.Module, Flat | str]" = WeakKeyDictionary()
"""By model, its flat decoder, or why it has none. References are weak, so models can be freed."""
_sound: "WeakSet[torch.nn.Module]" = WeakSet()
"""Models whose modules were seen to run over a store."""


def choose_path(model: torch.nn.Module, asked: ForwardPath) -> Forwards:
    """Return how forwards of `model` are computed, without any replay; decided once for each model.

    Raises UsageError if `flat` was asked for and is not possible, EnvironmentMissing if not even
    the modules can be run.
    """
    if asked == "modules":
        if model not in _flats and model not in _sound:
            _module_logits(model)
            _sound.add(model)
        return Forwards(path="modules", compute=model)
    found = _flats.get(model)
    if found is None:
        found = _flats[model] = _prove_flat(model)
    if isinstance(found, Flat):
        return Forwards(path="flat", compute=found)
    if asked == "flat":
        raise read.refusal(found)
    return Forwards(path="modules", compute=model, path_reason=found)


def _prove_flat(model: torch.nn.Module) -> Flat | str:
    """Return a flat decoder that gives the model's logits, or why there is none."""
    theirs = _module_logits(model)
    try:
        parts = read.parts(model)
        flat = Flat(model, transposed(parts) if fits_twice(model) else parts)
        _prove(model, flat, theirs)
    except UsageError as trouble:
        return trouble.title.partition(": ")[2]
    except Exception as trouble:  # noqa: BLE001 - modules can run instead
        return f"reading it failed: {type(trouble).__name__}: {str(trouble).partition(chr(10))[0]}"
    return flat


def fits_twice(model: torch.nn.Module) -> bool:
    """Return whether a model is on a CPU and so small that its weights may be held twice."""
    weights = list(model.parameters())
    return (
        weights[0].device.type == "cpu"
        and sum(each.nbytes for each in weights) <= MAX_BYTES_HELD_TWICE
    )


def _module_logits(model: torch.nn.Module) -> torch.Tensor:
    """Return [tokens, vocab] logits of a few tokens, by the model's own modules over our store.

    They are empty for a model that is not one of transformers. Raises EnvironmentMissing if the
    modules can't be run over our store, as with a release that keeps caches in another way.
    """
    if not isinstance(model, PreTrainedModel):
        return torch.empty(0)
    try:
        return _logits(model, None)
    except (SpecprofError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as trouble:
        line = str(trouble).partition("\n")[0]
        what = f"{type(model).__name__} can't be run over its cache"
        raise unfit(f"{what}: {type(trouble).__name__}: {line}") from trouble


def _prove(model: Any, flat: Flat, theirs: torch.Tensor) -> None:  # noqa: ANN401 - transformers is untyped
    """Raise UsageError if a flat decoder's logits differ from the modules', `theirs`."""
    ours = _logits(model, Forwards(path="flat", compute=flat))
    if reason := explain_difference(
        ours, theirs, model.dtype, "its logits differ from the module's"
    ):
        raise read.refusal(reason)


def explain_difference(
    ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype, what: str
) -> str | None:
    """Return by how much [tokens, vocab] logits differ; None if rounding explains it.

    `what` begins the sentence.
    """
    if not theirs.isfinite().all():
        return f"its {NOT_FINITE} or infinity"
    spread = (theirs - theirs.mean(-1, keepdim=True)).square().mean().sqrt()
    error = ((ours - theirs).square().mean().sqrt() / spread).item()
    allowed = MAX_ROUNDING_ERROR.get(dtype, MAX_HALF_PRECISION_ERROR)
    if error <= allowed:
        return None
    named = str(dtype).removeprefix("torch.")
    return f"{what} by {error:.2g} of their spread, rounding in {named} explains {allowed:g}"


def _logits(model: Any, forwards: Forwards | None) -> torch.Tensor:  # noqa: ANN401
    """Return [tokens, vocab] logits of a few tokens, by `forwards` or else a model's modules."""
    config = model.config.get_text_config()
    store = Store(config.num_hidden_layers, sum(FED_TOKENS))
    decoder = CausalModel(model, store, next(model.parameters()).device, forwards=forwards)
    tokens = torch.arange(1, sum(FED_TOKENS) + 1, device=decoder.device) * 31 % config.vocab_size
    starts = accumulate(FED_TOKENS, initial=0)
    return logits_of_passes(decoder, zip(starts, tokens.split(FED_TOKENS), strict=False))


def logits_of_passes(
    decoder: CausalModel,
    passes: Iterable[tuple[int, torch.Tensor]],
    prepare: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Return [tokens, vocab] logits of several forwards, given where each begins and its tokens.

    `prepare` is called before each forward with its count of tokens.
    """
    found: list[torch.Tensor] = []
    for start, tokens in passes:
        decoder.rollback(start)
        if prepare:
            prepare(tokens.shape[0])
        found.append(decoder.feed(tokens))
    return torch.cat(found)
