"""Which models: the pair that was asked about, and real shapes with random weights.

A shape is a folder with a config.json and nothing else, made when it is asked for: nobody's
weights, nothing downloaded. In the reduced form it is the same architecture with next to nothing
in it.
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

RANDOM = "random weights: nothing is meant by what they accept"
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
"""As published: EleutherAI's Pythia suite; Llama 3.1 8B and Llama 3.2 1B, rotations unscaled."""
SMALL = {
    "max_position_embeddings": 32,  # exceeded, as Pythia's is at 20k
    "vocab_size": 128,
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
}
"""What the reduced form has of any shape."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A target and its draft."""

    name: str
    settings: Settings
    trained: bool
    """Whether what it accepts means anything."""

    @property
    def note(self) -> str:
        """What must be said of its acceptance."""
        return "" if self.trained else RANDOM


def asked(ask: Ask, **changed: object) -> Pair:
    """Return the pair the user named: the pocket family unless told otherwise."""
    return Pair(Path(ask.target).name, ask.settings(**changed), trained=True)


def shaped(ask: Ask, target: str, draft: str, **changed: object) -> Pair:
    """Return a pair of `SHAPES` with random weights; its configurations are written."""
    names = {
        "target": str(folder(ask, target)),
        "draft": str(folder(ask, draft)),
        "load_format": "dummy",
        "text": None,
    }
    return Pair(f"{target} + {draft}", ask.settings(**names, **changed), trained=False)


def folder(ask: Ask, shape: str) -> Path:
    """Write the configuration of one of `SHAPES`, and return its folder."""
    place = ask.folder / shape
    place.mkdir(exist_ok=True)
    config = SHAPES[shape]
    small = {name: value for name, value in SMALL.items() if name in config}
    known = place / "config.json"
    if not known.exists():
        known.write_text(json.dumps(config | (small if ask.reduced else {})), encoding="utf-8")
    return place


def both(ask: Ask, **changed: object) -> Iterator[Pair]:
    """Yield the pair that was named and an 8B with a 1B: where the host sets the pace, and not."""
    yield asked(ask, **changed)
    shorter = {"max_new_tokens": ask.few(48, 8)}
    pair = shaped(ask, "llama-8b", "llama-1b", **{**shorter, **changed})
    ready(pair.settings)
    yield pair


def ready(settings: Settings) -> Loaded:
    """Load a pair where it is to run, and return its target.

    Random weights are drawn on the device itself: billions of them take a processor minutes. What
    earlier pairs had in their caches is given back first.
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
