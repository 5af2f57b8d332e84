"""Read the files of a published head, from any publisher, under one set of names.

Formats: SafeAILab's EAGLE and EAGLE-3 (`midlayer.`), vLLM's and SGLang's (`model.`, `layers.0.`),
and speculators' (a nested config). Weights come from safetensors. Some heads were only published as
`pytorch_model.bin`: that is read with `weights_only`, which runs no code from the file.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from specprof.engine.checkpoints import where
from specprof.engine.checkpoints.files import (
    CONFIG,
    WEIGHTS,
    Files,
    Folder,
    Misfit,
    read_headers,
    read_json,
)
from specprof.engine.checkpoints.guard import explain_errors
from specprof.engine.checkpoints.numbers import check_numbers
from specprof.engine.checkpoints.survey import HubFiles
from specprof.errors import UsageError

Weights = dict[str, torch.Tensor]

PREFIXES = (
    ("model.", ""),
    ("midlayer.", "layers.0."),
    ("transformer.", "layers.0."),
    ("fusion_fc.", "fc."),
)
"""Prefixes of other publishers -> ours, which are vLLM's."""
REQUIRED_WEIGHTS = ("fc.weight", "layers.0.self_attn.k_proj.weight")
FOREIGN_WEIGHTS = ("verifier_norm.", "verifier_lm_head.", "rotary_emb.")
"""Copies of the target's weights, and constants, that some checkpoints hold too."""


def read_head(name: str) -> tuple[dict[str, Any], Weights]:
    """Return a head's config as it was written and its tensors under our names.

    `name` is a pocket member, a local folder, or a Hugging Face id. Raises EnvironmentMissing if it
    can't be loaded, UsageError if it is no head; safetensors are then refused by their header.
    """
    place = where.place_of(name, "head")
    hint = "the folder must hold config.json and model.safetensors (or pytorch_model.bin)"
    hint = hint if isinstance(place, Path) else where.usage_hint("head")
    with explain_errors(name, hint, doing="load head"):
        files: Files = Folder(place) if isinstance(place, Path) else _hub_files(place)
        path = files.path(CONFIG)
        if path is None:
            raise Misfit(f"it holds no {CONFIG}")
        written = read_json(path)
        check_numbers(written)
        found = files.path(WEIGHTS)
        if found is not None:
            _refuse_no_head(name, read_headers(files) or {})
            weights = load_file(found)
        else:
            found = files.path("pytorch_model.bin")
            if found is None:
                raise Misfit(f"it holds neither {WEIGHTS} nor pytorch_model.bin")
            weights = torch.load(found, map_location="cpu", weights_only=True)
            if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
                raise Misfit(f"{found.name} holds no named tensors")
            _refuse_no_head(name, weights)
        return written, _rename_weights(weights)


def _hub_files(name: str) -> HubFiles:
    trouble = where.trouble_with_hub(name)
    files = HubFiles(name, local_only=trouble is not None)
    if trouble and files.path(CONFIG) is None:
        raise where.unreached_error(name, trouble, "head")
    return files


def _refuse_no_head(name: str, found: Iterable[str]) -> None:
    """Refuse a checkpoint whose tensors' names, `found`, lack those that every head has."""
    names = {_our_name(key) for key in found}
    lacking = [each for each in REQUIRED_WEIGHTS if each not in names]
    if lacking:
        title = f"{name} is no EAGLE or EAGLE-3 head: it has no {lacking[0]}"
        hint = "name a head with --draft, such as pocket/eagle, or use --drafter draft-model"
        raise UsageError(title, hint)


def _rename_weights(weights: Weights) -> Weights:
    """Return the tensors under our names, without those that are not the head's."""
    renamed = {_our_name(key): weight for key, weight in weights.items()}
    return {
        key: weight
        for key, weight in renamed.items()
        if not any(part in key for part in FOREIGN_WEIGHTS)
    }


def _our_name(key: str) -> str:
    for theirs, ours in PREFIXES:
        key = ours + key.removeprefix(theirs) if key.startswith(theirs) else key
    return key
