"""Survey a model before it is loaded: what it is, how much memory it takes, if its files fit it.

The model is built without memory (torch's device `meta`), from a configuration whose numbers were
checked first. Its tensors are then compared with the headers of its weights.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from transformers import AutoConfig, AutoModelForCausalLM

from specprof import pocket
from specprof.engine.checkpoints import where
from specprof.engine.checkpoints.files import (
    CONFIG,
    Files,
    Folder,
    Misfit,
    Tensor,
    read_headers,
    read_json,
)
from specprof.engine.checkpoints.guard import explain_errors
from specprof.engine.checkpoints.numbers import check_numbers, check_special_ids, shorten_value
from specprof.engine.foreign import refuse_kernels
from specprof.errors import UsageError
from specprof.settings import Settings

GENERATION_CONFIG = "generation_config.json"
FOLDER_HINT = "the folder must hold config.json, *.safetensors and tokenizer.json"
NOT_WEIGHT_DTYPES = ("I", "U", "BOOL", "C")
"""First letters, in headers, of the dtypes that no floating-point weight is stored in."""
HEAD_MARKS = ("fc.weight", "model.fc.weight", "fusion_fc.weight", "d2t")
"""Weights that only a head on hidden states has."""
MEMORY_SIZE_KEYS = (
    *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("hidden_size", "vocab_size", "max_position_embeddings"),
)
"""Sizes that a model's memory is computed from: each must be one number for all layers."""
RECURRENT_LAYERS = frozenset({"linear_attention", "mamba", "mamba2", "recurrent", "conv", "rwkv"})


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of a model on the hub; each is fetched when it is asked for."""

    name: str
    local_only: bool
    """Whether only files that were fetched before are available."""

    def path(self, name: str) -> Path | None:
        """Return the file's path in the hub's cache; None if the model has no such file."""
        try:
            return Path(hf_hub_download(self.name, name, local_files_only=self.local_only))
        except EntryNotFoundError as trouble:
            if isinstance(trouble, LocalEntryNotFoundError) and not self.local_only:
                raise Misfit(f"the hub stopped answering: {trouble.__cause__}") from trouble
            return None
        except GatedRepoError as trouble:
            hint = "accept its licence on its page, and log in: hf auth login"
            raise Misfit("its publisher asks you to accept a licence first", hint) from trouble
        except RepositoryNotFoundError as trouble:
            hint = where.usage_hint()
            raise Misfit("the hub has no such model, or it is private", hint) from trouble


@dataclass(frozen=True)
class Survey:
    """What is known of a model before any of it is in memory."""

    name: str
    place: str
    """The folder, or the id of the hub, that the loaders are given."""
    options: dict[str, Any]
    """Further arguments of the loaders."""
    files: Files
    dtype: torch.dtype
    dummy: bool
    """Whether its weights are to be random."""

    @cached_property
    def hint(self) -> str:
        """What to do if it can't be loaded."""
        return FOLDER_HINT if isinstance(self.files, Folder) else where.usage_hint()

    @cached_property
    def headers(self) -> dict[str, Tensor]:
        """Its tensors, from the headers of its weights; a hub model's weights are fetched first."""
        with explain_errors(self.name, self.hint):
            found = read_headers(self.files)
            if found is None:
                raise Misfit("it has no safetensors", "give one whose weights are safetensors")
            return found

    @cached_property
    def config(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """Its configuration."""
        with explain_errors(self.name, self.hint):
            path = self.files.path(CONFIG)
            if path is None:
                raise Misfit(f"it has no {CONFIG}")
            written = read_json(path)
            if (
                isinstance(written, dict) and "configuration_files" in written
            ):  # what transformers would read instead
                raise Misfit(f"its {CONFIG} names other files to be read in its place")
            check_numbers(written)
            check_special_ids(written)
            self._check_generation()
            config = AutoConfig.from_pretrained(self.place, **self.options)
            _check_layers(config.get_text_config())
        if not self.options["trust_remote_code"]:
            refuse_kernels(self.name, config)
        _refuse_recurrent(self.name, config)
        return config

    @cached_property
    def skeleton(self) -> Any:  # noqa: ANN401
        """The model, without memory for its weights."""
        with explain_errors(self.name, self.hint), torch.device("meta"):
            return AutoModelForCausalLM.from_config(
                self.config,
                dtype=self.dtype,
                trust_remote_code=self.options["trust_remote_code"],
            ).eval()

    @property
    def weight_bytes(self) -> int:
        """Bytes of its weights and buffers once loaded."""
        if self._packed:
            return sum(each.size for each in self.headers.values())
        parts = [*self.skeleton.parameters(), *self.skeleton.buffers()]
        return sum(part.numel() * part.element_size() for part in parts)

    def check_weights(self) -> None:
        """Refuse weights that belong to another model. Raises EnvironmentMissing, UsageError."""
        if self.dummy:
            return
        refuse_head(self.name, self.headers)
        with explain_errors(self.name, self.hint):
            if not self._packed:
                _compare(self.headers, self.skeleton)

    @property
    def _packed(self) -> bool:
        """Whether its weights are quantised: stored in other shapes than their modules have."""
        return not self.dummy and getattr(self.config, "quantization_config", None) is not None

    def _check_generation(self) -> None:
        path = self.files.path(GENERATION_CONFIG)
        if path is None:
            return
        try:
            written = read_json(path)
        except Misfit:
            if path.is_file():  # transformers goes on without a broken one
                return
            raise
        check_special_ids(written, GENERATION_CONFIG)


def survey(name: str, settings: Settings, dtype: torch.dtype) -> Survey:
    """Survey the model `name`; load nothing, and fetch no weights.

    Raises EnvironmentMissing if it can't be found or opened, UsageError if it is a head.
    """
    place = where.place_of(name)
    dummy = settings.load_format == "dummy"
    options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if isinstance(place, Path):
        folder = Folder(place)
        with explain_errors(name, FOLDER_HINT):
            folder.check()
            if not dummy:
                folder.check_weights()
        found = Survey(name, str(place), options, folder, dtype, dummy)
        if not dummy:
            refuse_head(name, found.headers)  # first: a head's configuration looks like a model's
        return found
    trouble = where.trouble_with_hub(name)
    options["local_files_only"] = trouble is not None
    files = HubFiles(name, local_only=trouble is not None)
    with explain_errors(name, where.usage_hint()):
        if trouble and files.path(CONFIG) is None:
            raise where.unreached_error(name, trouble)
    return Survey(name, place, options, files, dtype, dummy)


def refuse_head(name: str, headers: dict[str, Tensor]) -> None:
    """Refuse a head on hidden states: a whole model is needed."""
    if any(mark in headers for mark in HEAD_MARKS):
        title = f"{name} is a head on the target's hidden states, not a whole model"
        hint = f"use it with --drafter eagle, or use --draft {pocket.members()[0]}"
        raise UsageError(title, hint)


def _check_layers(text: Any) -> None:  # noqa: ANN401
    check_numbers({"num_hidden_layers": getattr(text, "num_hidden_layers", None)})
    for key in MEMORY_SIZE_KEYS:
        value = getattr(text, key, None)
        if value is not None and type(value) is not int:
            title = f"{CONFIG} says {key} {shorten_value(value)}"
            raise Misfit(title, "give a model whose layers are alike: one whole number for all")
    heads, kept = (
        getattr(text, each, None) for each in ("num_attention_heads", "num_key_value_heads")
    )
    if type(heads) is int and type(kept) is int and (kept < 1 or heads % kept):
        title = f"{CONFIG} says {heads} attention heads and {kept} heads for keys and values"
        raise Misfit(title, "the first number must be a multiple of the second")


def _refuse_recurrent(name: str, config: Any) -> None:  # noqa: ANN401
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    recurrent = kinds & RECURRENT_LAYERS
    if recurrent or not getattr(text, "num_attention_heads", None):
        found = ", ".join(sorted(recurrent)) or "no attention heads"
        title = f"{name} keeps a recurrent state ({found}), which can't be rolled back"
        hint = "rejected drafts would stay in it (ggml-org/llama.cpp#20075); use an attention model"
        raise UsageError(title, hint)


def _compare(headers: dict[str, Tensor], skeleton: Any) -> None:  # noqa: ANN401
    """Refuse a tensor that the model has with another shape, or whose dtype no weight has."""
    expected = skeleton.state_dict()
    for name, found in headers.items():
        weight = expected.get(name)
        if weight is None:  # another release's name, or an unknown one: the loader reports it
            continue
        if found.shape != tuple(weight.shape):
            title = f"{name} is {list(found.shape)}, but its {CONFIG} says {list(weight.shape)}"
            raise Misfit(title, f"{CONFIG} and the weights belong to different models")
        if weight.is_floating_point() and found.dtype.startswith(NOT_WEIGHT_DTYPES):
            raise Misfit(f"{name} is of dtype {found.dtype}", "download it again")
