"""Reads the files of a published head, whoever published it, under one set of names.

Formats: SafeAILab's EAGLE and EAGLE-3 (`midlayer.`), vLLM's and SGLang's (`model.`, `layers.0.`),
and speculators' (a nested config). Weights come from safetensors or, where a head was only ever
published so, from `pytorch_model.bin` read with `weights_only`, which runs no code of the file's.
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
    read_json,
    tensors,
)
from specprof.engine.checkpoints.guard import guarded
from specprof.engine.checkpoints.numbers import check_numbers
from specprof.engine.checkpoints.survey import HubFiles
from specprof.errors import UsageError

Weights = dict[str, torch.Tensor]

RENAMED = (
    ("model.", ""),
    ("midlayer.", "layers.0."),
    ("transformer.", "layers.0."),
    ("fusion_fc.", "fc."),
)
"""Prefixes other publishers use -> ours, which are vLLM's."""
NEEDED = ("fc.weight", "layers.0.self_attn.k_proj.weight")
"""What every head has."""
NOT_THE_HEADS = ("verifier_norm.", "verifier_lm_head.", "rotary_emb.")
"""Copies of the target's weights, and constants, that some checkpoints carry along."""


def read(name: str) -> tuple[dict[str, Any], Weights]:
    """Return a head's config as it was written and its tensors under our names.

    `name` is a pocket member, a local folder, or a Hugging Face id. Raises EnvironmentMissing, and
    UsageError for what is no head, before its weights are read.
    """
    place = where.place_of(name, "head")
    hint = "the folder must hold config.json and model.safetensors (or pytorch_model.bin)"
    hint = hint if isinstance(place, Path) else where.known("head")
    with guarded(name, hint, doing="load head"):
        files: Files = Folder(place) if isinstance(place, Path) else _of_hub(place)
        path = files.path(CONFIG)
        if path is None:
            raise Misfit(f"it holds no {CONFIG}")
        written = read_json(path)
        check_numbers(written)
        found = files.path(WEIGHTS)
        if found is not None:
            _refuse_no_head(name, tensors(files) or {})
            read = load_file(found)
        else:
            found = files.path("pytorch_model.bin")
            if found is None:
                raise Misfit(f"it holds neither {WEIGHTS} nor pytorch_model.bin")
            read = torch.load(found, map_location="cpu", weights_only=True)
            if not isinstance(read, dict) or not all(map(torch.is_tensor, read.values())):
                raise Misfit(f"{found.name} holds no tensors by name")
            _refuse_no_head(name, read)
        return written, _renamed(read)


def _of_hub(name: str) -> HubFiles:
    trouble = where.trouble_with_hub(name)
    files = HubFiles(name, local_only=trouble is not None)
    if trouble and files.path(CONFIG) is None:
        raise where.unreached(name, trouble, "head")
    return files


def _refuse_no_head(name: str, found: Iterable[str]) -> None:
    """Refuse what has no weights that only a head has, by the names of its tensors."""
    names = {_ours(key) for key in found}
    lacking = [each for each in NEEDED if each not in names]
    if lacking:
        title = f"{name} is no EAGLE or EAGLE-3 head: it has no {lacking[0]}"
        hint = "name a head with --draft, such as pocket/eagle, or use --drafter draft-model"
        raise UsageError(title, hint)


def _renamed(read: Weights) -> Weights:
    """Return the tensors under our names, without those that are not the head's."""
    plain = {_ours(key): weight for key, weight in read.items()}
    return {
        key: weight
        for key, weight in plain.items()
        if not any(part in key for part in NOT_THE_HEADS)
    }


def _ours(key: str) -> str:
    for theirs, ours in RENAMED:
        key = ours + key.removeprefix(theirs) if key.startswith(theirs) else key
    return key
