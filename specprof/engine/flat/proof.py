"""Which path a model's forwards take: flat where that is possible and shown to give its logits.

The proof is shared with `replay/`: logits of a few tokens, held against those of the modules.
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
from specprof.engine.flat.parts import turned
from specprof.engine.releases import unfit
from specprof.engine.stores.dense import Store
from specprof.errors import NOT_FINITE, SpecprofError, UsageError
from specprof.settings import ForwardPath

FED = (8, 1, 3)
"""Tokens of the proof's forwards: a prefill, a draft step, a verify pass."""
NOISE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest relative error, root mean square, that rounding explains; by dtype of the weights."""
COARSE = 0.05
"""The same of half precision: the two ways round at other places."""


TWICE = 2**28
"""Bytes of weights that a CPU may hold a second time, laid out for multiplying by few rows."""

_flats: "WeakKeyDictionary[torch.nn.Module, Flat | str]" = WeakKeyDictionary()
"""Of a model its flat decoder, or why it has none; nothing here holds the model: it goes with
whoever loaded it."""


_sound: "WeakSet[torch.nn.Module]" = WeakSet()
"""Models whose modules were seen to run over a store."""


def choose_path(model: torch.nn.Module, asked: ForwardPath) -> Forwards:
    """Return how `model` is run, before anything is replayed; found out once for each model.

    Raises UsageError where `flat` was asked for and can't be had, EnvironmentMissing where not even
    the modules can be run.
    """
    if asked == "modules":
        if model not in _flats and model not in _sound:
            _answered(model)
            _sound.add(model)
        return Forwards(path="modules", compute=model)
    found = _flats.get(model)
    if found is None:
        found = _flats[model] = _flat(model)
    if isinstance(found, Flat):
        return Forwards(path="flat", compute=found)
    if asked == "flat":
        raise read.refused(found)
    return Forwards(path="modules", compute=model, path_reason=found)


def _flat(model: torch.nn.Module) -> Flat | str:
    """Return a flat decoder shown to be one, or why there is none."""
    theirs = _answered(model)
    try:
        parts = read.parts(model)
        flat = Flat(model, turned(parts) if fits_twice(model) else parts)
        _prove(model, flat, theirs)
    except UsageError as trouble:
        return trouble.title.partition(": ")[2]
    except Exception as trouble:  # noqa: BLE001 - whatever a release calls its parts, modules run
        return f"reading it failed: {type(trouble).__name__}: {str(trouble).partition(chr(10))[0]}"
    return flat


def fits_twice(model: torch.nn.Module) -> bool:
    """Return whether a CPU holds a model so small that its weights may be held twice."""
    weights = list(model.parameters())
    return weights[0].device.type == "cpu" and sum(each.nbytes for each in weights) <= TWICE


def _answered(model: torch.nn.Module) -> torch.Tensor:
    """Return [tokens, vocab] what a model's own modules make of a few tokens, over our store.

    Of what is no model of transformers: nothing. Raises EnvironmentMissing where they can't be run
    so: a release may keep caches otherwise.
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
    """Refuse a flat decoder whose logits are not the modules', [tokens, vocab] `theirs`."""
    ours = _logits(model, Forwards(path="flat", compute=flat))
    if reason := difference(ours, theirs, model.dtype, "its logits differ from the module's"):
        raise read.refused(reason)


def difference(
    ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype, what: str
) -> str | None:
    """Return why [tokens, vocab] logits can't be taken for others; None: rounding explains it.

    `what` begins the sentence that says by how much they differ.
    """
    if not theirs.isfinite().all():
        return f"its {NOT_FINITE} or infinity"
    spread = (theirs - theirs.mean(-1, keepdim=True)).square().mean().sqrt()
    error = ((ours - theirs).square().mean().sqrt() / spread).item()
    allowed = NOISE.get(dtype, COARSE)
    if error <= allowed:
        return None
    named = str(dtype).removeprefix("torch.")
    return f"{what} by {error:.2g} of their spread, rounding in {named} explains {allowed:g}"


def _logits(model: Any, forwards: Forwards | None) -> torch.Tensor:  # noqa: ANN401
    """Return [tokens, vocab] what a model's modules, or other forwards, make of a few tokens."""
    config = model.config.get_text_config()
    store = Store(config.num_hidden_layers, sum(FED))
    decoder = CausalModel(model, store, next(model.parameters()).device, forwards=forwards)
    tokens = torch.arange(1, sum(FED) + 1, device=decoder.device) * 31 % config.vocab_size
    starts = accumulate(FED, initial=0)
    return answers(decoder, zip(starts, tokens.split(FED), strict=False))


def answers(
    decoder: CausalModel,
    passes: Iterable[tuple[int, torch.Tensor]],
    prepare: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Return [tokens, vocab] logits of passes: where each begins, and the tokens it is fed.

    `prepare` is called before a pass with its count of tokens.
    """
    found: list[torch.Tensor] = []
    for start, tokens in passes:
        decoder.rollback(start)
        if prepare:
            prepare(tokens.shape[0])
        found.append(decoder.feed(tokens))
    return torch.cat(found)
