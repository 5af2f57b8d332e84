"""The models to measure: the requested pair, and real shapes with random weights.

A shape is a folder that holds a config.json alone, made when it is needed. No weights are stored,
and nothing is downloaded. In the reduced form it is the same architecture with tiny sizes.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from on_gpu.rows import Ask

from specprof.engine.setup import loading
from specprof.engine.setup.loading import Loaded
from specprof.settings import Settings

RANDOM_NOTE = "random weights: nothing is meant by what they accept"
NEOX = {
    "model_type": "gpt_neox",
    "architectures": ["GPTNeoXForCausalLM"],
    "vocab_size": 50304,
    "max_position_embeddings": 2048,
    "rotary_pct": 0.25,
    "rotary_emb_base": 10000,
    "use_parallel_residual": True,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def _neox(layers: int, width: int, heads: int) -> dict[str, object]:
    return NEOX | {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }


def _llama(layers: int, width: int, inner: int, *, tied: bool) -> dict[str, object]:
    return LLAMA | {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": width // 32,
        "intermediate_size": inner,
        "tie_word_embeddings": tied,
    }


SHAPES = {
    "pythia-2.8b": _neox(32, 2560, 32),
    "pythia-410m": _neox(24, 1024, 16),
    "pythia-160m": _neox(12, 768, 12),
    "pythia-70m": _neox(6, 512, 8),
    "llama-8b": _llama(32, 4096, 14336, tied=False),
    "llama-1b": _llama(16, 2048, 8192, tied=True),
}
"""Published shapes: EleutherAI's Pythia suite; Llama 3.1 8B and 3.2 1B, rotations unscaled."""
SMALL_SHAPE = {
    "max_position_embeddings": 32,  # exceeded, as Pythia's is at 20k
    "vocab_size": 128,
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
}
"""Sizes of any shape in the reduced form."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A target and its draft."""

    name: str
    settings: Settings
    trained: bool
    """Whether its weights are trained, so that its acceptance means anything."""

    @property
    def note(self) -> str:
        """A note on its acceptance."""
        return "" if self.trained else RANDOM_NOTE


def named_pair(ask: Ask, **changed: object) -> Pair:
    """Return the pair that the user named; the default is the pocket family."""
    return Pair(Path(ask.target).name, ask.settings(**changed), trained=True)


def shape_pair(ask: Ask, target: str, draft: str, **changed: object) -> Pair:
    """Return a pair of `SHAPES` with random weights, and write its configurations."""
    names = {
        "target": str(write_shape(ask, target)),
        "draft": str(write_shape(ask, draft)),
        "load_format": "dummy",
        "text": None,
    }
    return Pair(f"{target} + {draft}", ask.settings(**names, **changed), trained=False)


def write_shape(ask: Ask, shape: str) -> Path:
    """Write the configuration of one of `SHAPES`, and return its folder."""
    place = ask.folder / shape
    place.mkdir(exist_ok=True)
    config = SHAPES[shape]
    small = {name: value for name, value in SMALL_SHAPE.items() if name in config}
    known = place / "config.json"
    if not known.exists():
        known.write_text(json.dumps(config | (small if ask.reduced else {})), encoding="utf-8")
    return place


def list_pairs(ask: Ask, **changed: object) -> Iterator[Pair]:
    """Yield the named pair, and an 8B target with a 1B draft, where the device sets the pace."""
    yield named_pair(ask, **changed)
    shorter = {"max_new_tokens": ask.few(48, 8)}
    pair = shape_pair(ask, "llama-8b", "llama-1b", **{**shorter, **changed})
    load_pair(pair.settings)
    yield pair


def load_pair(settings: Settings) -> Loaded:
    """Load a pair on the device it runs on, and return its target.

    Random weights are drawn on the device, because billions of them take a processor minutes. The
    memory of earlier pairs' caches is freed first.
    """
    gc.unfreeze()
    gc.collect()
    if settings.device != "cpu":
        torch.accelerator.empty_cache()
    device = loading.device_for(settings.device)
    dummy = settings.load_format == "dummy"
    with device if dummy else nullcontext():
        if settings.draft:
            loading.load(settings.draft, settings, device)
        return loading.load(settings.target, settings, device)
