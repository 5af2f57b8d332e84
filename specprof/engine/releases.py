"""What releases of transformers call by different names, found by looking: here and nowhere else.

No version number is compared. A name is taken where it is there, the newer one first, so that
nothing deprecated is called where there is something newer. What differs among the releases that
pyproject.toml admits: with 5.24 `past_key_values` became `cache`, and a cache's `update` is called
with a keyword `kwargs`. What no release promises is listed in docs/private-interfaces.md.
"""

from functools import lru_cache
from inspect import signature
from typing import Any

import torch
import transformers

from specprof.errors import EnvironmentMissing

TRIED = "5.24.0"
"""The newest release that all of this was tried with."""


def unfit(what: str) -> EnvironmentMissing:
    """Return the error that says in which way the installed release is none for this program."""
    version = transformers.__version__
    hint = f"install one it was tried with: pip install transformers=={TRIED}"
    if version == TRIED:
        hint = "it was tried with that release: please report it"
    return EnvironmentMissing(f"specprof doesn't fit transformers {version}: {what}", hint)


try:  # documented nowhere, or not as what one may build upon
    from transformers import GenerationMixin
    from transformers.cache_utils import Cache as TransformersCache
    from transformers.cache_utils import CacheLayerMixin
    from transformers.models.llama.modeling_llama import (
        LlamaDecoderLayer,
        LlamaRMSNorm,
        LlamaRotaryEmbedding,
    )
except ImportError as trouble:
    raise unfit(str(trouble).partition("\n")[0]) from trouble

__all__ = ["LlamaDecoderLayer", "LlamaRMSNorm", "LlamaRotaryEmbedding"]  # and what is made here

CACHE_NAMES = ("cache", "past_key_values")
"""What a forward calls its cache, the newest first."""
KINDS_KEPT = 1024
"""Classes whose forward was looked at and is not looked at again: it is asked for every time."""


def with_cache(called: object, cache: object) -> dict[str, Any]:
    """Return the keyword argument by which something that computes a forward takes a cache.

    A model whose code is its own may call it otherwise than transformers' models do. Where a
    forward takes whatever it is given and passes it on, the name is that of transformers' models.
    """
    kind: Any = type(called)
    return {_name_by(kind) or GENERATE_CACHE: cache}


@lru_cache(KINDS_KEPT)
def _name_by(kind: type) -> str | None:
    """Return what a class calls its cache; None: it doesn't name it."""
    named: Any = kind
    return _first_in(named.forward if issubclass(kind, torch.nn.Module) else named.__call__)


def _first_in(call: Any) -> str | None:  # noqa: ANN401 - any callable
    """Return the newest name that a callable has for a cache; None: it has none."""
    taken = signature(call).parameters
    return next((name for name in CACHE_NAMES if name in taken), None)


GENERATE_CACHE = _first_in(GenerationMixin.prepare_inputs_for_generation) or CACHE_NAMES[0]
"""What `generate` and its candidate generators call a cache they take and pass on."""


class CacheForm(TransformersCache):  # type: ignore[misc]  # transformers is untyped here
    """A cache of ours in the form transformers' attention asks for."""

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: object,
        **__: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new rows; return those attention sees.

        What else attention passes on, by whatever name, is for caches that are not ours.
        """
        found: tuple[torch.Tensor, torch.Tensor]
        found = self.layers[layer_idx].update(key_states, value_states)
        return found


class LayerForm(CacheLayerMixin):  # type: ignore[misc]
    """One layer of such a cache: it says how many tokens it holds, and writes what is new."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many columns the mask has, and where they start."""
        return self.get_seq_length() + query_length, 0


LayerForm.__abstractmethods__ = frozenset()
"""What a release adds to the list of what a layer must have ends a run only where it is called."""
