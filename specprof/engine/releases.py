"""Names that differ between releases of transformers: found by looking, here and nowhere else.

No version number is compared. The newest name that exists is taken, so that nothing deprecated is
called. Among the releases that pyproject.toml admits, this differs: with 5.24 `past_key_values`
became `cache`, and a cache's `update` is called with a keyword `kwargs`. What no release promises
is listed in docs/private-interfaces.md.
"""

from functools import lru_cache
from inspect import signature
from typing import Any

import torch
import transformers

from specprof.errors import EnvironmentMissing

TRIED_RELEASE = "5.24.0"
"""The newest release that this program was tried with."""


def unfit(what: str) -> EnvironmentMissing:
    """Return the error that says why this program can't work with the installed release."""
    version = transformers.__version__
    hint = f"install one it was tried with: pip install transformers=={TRIED_RELEASE}"
    if version == TRIED_RELEASE:
        hint = "it was tried with that release: please report it"
    return EnvironmentMissing(f"specprof doesn't fit transformers {version}: {what}", hint)


try:  # not documented as something to build upon
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

__all__ = ["LlamaDecoderLayer", "LlamaRMSNorm", "LlamaRotaryEmbedding"]  # and this module's own

CACHE_NAMES = ("cache", "past_key_values")
"""What a forward calls its cache, the newest name first."""
MAX_KNOWN_CLASSES = 1024
"""Classes whose name for a cache is remembered, because it is needed in every forward."""


def with_cache(called: object, cache: object) -> dict[str, Any]:
    """Return the keyword argument by which `called`, which computes a forward, takes a cache.

    A model with code of its own may use another name than the models of transformers. A forward
    that passes all keywords on takes the name that transformers' models use.
    """
    kind: Any = type(called)
    return {_name_by(kind) or GENERATE_CACHE: cache}


@lru_cache(MAX_KNOWN_CLASSES)
def _name_by(kind: type) -> str | None:
    """Return what a class calls its cache; None if it has no such name."""
    named: Any = kind
    return _first_in(named.forward if issubclass(kind, torch.nn.Module) else named.__call__)


def _first_in(call: Any) -> str | None:  # noqa: ANN401 - any callable
    """Return the newest of a callable's names for a cache; None if it has none."""
    taken = signature(call).parameters
    return next((name for name in CACHE_NAMES if name in taken), None)


GENERATE_CACHE = _first_in(GenerationMixin.prepare_inputs_for_generation) or CACHE_NAMES[0]
"""What `generate` and its candidate generators call a cache that they pass on."""


class CacheForm(TransformersCache):  # type: ignore[misc]  # transformers is untyped here
    """A cache of ours in the form that transformers' attention needs."""

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: object,
        **__: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new rows; return the rows that attention sees.

        Other arguments of attention are meant for other caches, and are ignored.
        """
        found: tuple[torch.Tensor, torch.Tensor]
        found = self.layers[layer_idx].update(key_states, value_states)
        return found


class LayerForm(CacheLayerMixin):  # type: ignore[misc]
    """One layer of such a cache: it knows how many tokens it holds, and writes new rows."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many columns the mask has, and the first column."""
        return self.get_seq_length() + query_length, 0


LayerForm.__abstractmethods__ = frozenset()
"""A method that a new release demands of a layer then fails only when it is called."""
