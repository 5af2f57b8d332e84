"""Reads the files of a published head, whoever published it, under one set of names.

Formats: SafeAILab's EAGLE and EAGLE-3 (`midlayer.`), vLLM's and SGLang's (`model.`, `layers.0.`),
and speculators' (a nested config). Weights come from safetensors or, where a head was only ever
published so, from `pytorch_model.bin` read with `weights_only`, which runs no code of the file's.
"""

import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.utils import cached_file

from specprof import pocket
from specprof.errors import EnvironmentMissing
from specprof.reading import read_text

LARGEST_BYTES = 16 << 20
"""Of a config."""
Weights = dict[str, torch.Tensor]

RENAMED = (
    ("model.", ""),
    ("midlayer.", "layers.0."),
    ("transformer.", "layers.0."),
    ("fusion_fc.", "fc."),
)
"""Prefixes other publishers use -> ours, which are vLLM's."""
NOT_THE_HEADS = ("verifier_norm.", "verifier_lm_head.", "rotary_emb.")
"""Copies of the target's weights, and constants, that some checkpoints carry along."""


def read(name: str) -> tuple[dict[str, Any], Weights]:
    """Return a head's config as it was written and its tensors under our names.

    `name` is a pocket member, a local folder, or a Hugging Face id. Raises EnvironmentMissing.
    """
    place = str(pocket.folder(name)) if name.startswith(pocket.PREFIX) else name
    return _config(name, place), _weights(name, place)


def _config(name: str, place: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(
            read_text(Path(_file(place, "config.json")), LARGEST_BYTES)
        )
    except (OSError, ValueError, RecursionError) as trouble:
        raise _absent(name, place, trouble) from trouble
    return read


def _weights(name: str, place: str) -> Weights:
    """Return the file's tensors under our names."""
    try:
        try:
            read = load_file(_file(place, "model.safetensors"))
        except OSError:
            found = _file(place, "pytorch_model.bin")
            read = torch.load(found, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError, EOFError) as trouble:
        raise _absent(name, place, trouble) from trouble
    plain: Weights = {}
    for key, weight in read.items():
        for theirs, ours in RENAMED:
            key = ours + key.removeprefix(theirs) if key.startswith(theirs) else key  # noqa: PLW2901
        if not any(part in key for part in NOT_THE_HEADS):
            plain[key] = weight
    return plain


def _file(place: str, name: str) -> str:
    """Return where a file of the checkpoint lies; raises OSError where it can't be had."""
    found: str | None = cached_file(place, name)
    if found is None:
        raise FileNotFoundError(f"there is no {name}")
    return found


def _absent(name: str, place: str, trouble: Exception) -> EnvironmentMissing:
    reason = str(trouble).strip().partition("\n")[0]
    hint = (
        "give a Hugging Face id of an EAGLE or EAGLE-3 head, a folder that holds one, or one of: "
    )
    hint += ", ".join(pocket.heads())
    if Path(place).exists():
        hint = "the folder must hold config.json and model.safetensors (or pytorch_model.bin)"
    return EnvironmentMissing(f"can't load head {name!r}: {reason}", hint)
