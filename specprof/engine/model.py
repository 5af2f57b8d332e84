"""Loads a causal language model and says what is known of it.

Weights come from safetensors only, and no code from a checkpoint's repository runs unless asked
for. A model whose state can't be rolled back is refused: its rejected tokens would stay in it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from specprof import pocket
from specprof.engine.foreign import refuse_kernels
from specprof.errors import EnvironmentMissing, UsageError
from specprof.records import ModelFacts
from specprof.settings import Settings

transformers_logging.disable_progress_bar()  # the run narrates itself, one line at a time

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
RECURRENT_LAYERS = frozenset({"linear_attention", "mamba", "mamba2", "recurrent", "conv", "rwkv"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to decode, its tokenizer (None with random weights and no files), its facts."""

    model: torch.nn.Module
    tokenizer: Any
    facts: ModelFacts

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.model.parameters()).device

    @property
    def stop_tokens(self) -> frozenset[int]:
        """The tokens that end a text, by the checkpoint's own generation settings."""
        ends = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


_kept: dict[tuple[object, ...], Loaded] = {}
"""What this process has loaded: the runs of a sweep share it. A model is never changed by a run."""


def load(name: str, settings: Settings, device: torch.device) -> Loaded:
    """Load `name`: a pocket member, a local folder, or a Hugging Face id; once a process.

    Raises EnvironmentMissing where it can't be had, UsageError where it can't be rolled back.
    """
    place = str(pocket.folder(name)) if name.startswith(pocket.PREFIX) else name
    dtype = dtype_for(settings.dtype, device)
    dummy = settings.load_format == "dummy"
    seed = settings.seed if dummy else None  # which made the random weights
    known = (name, _stamp(place), dtype, device, seed, settings.trust_remote_code)
    if known not in _kept:
        _kept[known] = _load(name, place, settings, dtype, device)
    return _kept[known]


def _stamp(place: str) -> tuple[tuple[str, int, int], ...]:
    """Return what tells a local checkpoint from what it was before it was written anew."""
    facts = ((path.name, path.stat()) for path in sorted(Path(place).glob("*")))
    return tuple((name, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


def _load(
    name: str, place: str, settings: Settings, dtype: torch.dtype, device: torch.device
) -> Loaded:
    config = _found(name, AutoConfig, place, trust_remote_code=settings.trust_remote_code)
    if not settings.trust_remote_code:
        refuse_kernels(name, config)
    _refuse_recurrent(name, config)
    if settings.load_format == "dummy":
        torch.manual_seed(settings.seed)
        model = AutoModelForCausalLM.from_config(
            config, dtype=dtype, trust_remote_code=settings.trust_remote_code
        )
    else:
        model, told = _found(
            name,
            AutoModelForCausalLM,
            place,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            trust_remote_code=settings.trust_remote_code,
        )
        _refuse_incomplete(name, sorted(told["missing_keys"]))
    model = model.to(device).eval().requires_grad_(requires_grad=False)
    return Loaded(model, _tokenizer(name, place, settings), facts_of(name, model))


def device_for(asked: str) -> torch.device:
    """Return the asked device; `auto` is the accelerator where there is one."""
    if asked == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return torch.device(found.type, 0) if found else torch.device("cpu")
    try:
        device = torch.empty(1, device=torch.device(asked)).device  # with its index
        torch.Generator(device)
    except (RuntimeError, AssertionError, NotImplementedError) as trouble:
        reason = str(trouble).partition("\n")[0]
        hint = "use --device cpu, or install the torch build for your accelerator (see README)"
        raise EnvironmentMissing(f"can't use device {asked!r}: {reason}", hint) from trouble
    if device.type != "cpu" and device.index is not None:
        torch.accelerator.set_device_index(device.index)  # events are recorded on the current one
    return device


def dtype_for(asked: str, device: torch.device) -> torch.dtype:
    """Return the asked dtype; `auto` is bfloat16 on an accelerator and float32 on a CPU."""
    if asked == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    known = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES}
    if asked not in known:
        raise UsageError(f"no model is run in dtype {asked!r}", f"use auto, {', '.join(known)}")
    return known[asked]


def shared_vocabulary(target: Loaded, draft: Loaded) -> int:
    """Return how many ids both models have; refuse a pair whose ids mean different things.

    Families pad their members' embeddings past the last token, each size to its own number.
    """
    _check_same_tokens(target, draft)
    return min(target.facts.vocabulary, draft.facts.vocabulary)


def _check_same_tokens(target: Loaded, draft: Loaded) -> None:
    title = (
        f"{target.facts.name} and {draft.facts.name} have different vocabularies "
        f"({target.facts.vocabulary} and {draft.facts.vocabulary} tokens"
    )
    hint = "a drafted id must mean the same to both: choose a draft of the target's own family"
    if target.tokenizer is not None and draft.tokenizer is not None:
        ours, theirs = target.tokenizer.get_vocab(), draft.tokenizer.get_vocab()
        differing = [token for token, number in theirs.items() if ours.get(token, number) != number]
        missing = len(theirs.keys() ^ ours.keys())
        if differing or missing:
            found = f"; {missing} tokens in one only, {len(differing)} under another id)"
            raise UsageError(title + found, hint)
        shared, last = min(target.facts.vocabulary, draft.facts.vocabulary), max(ours.values())
        if last >= shared:
            found = f"); their tokenizer has ids up to {last}"
            raise UsageError(title + found, "give both models embeddings for every token")
    elif target.facts.vocabulary != draft.facts.vocabulary:
        raise UsageError(title + ")", hint)


def _refuse_incomplete(name: str, missing: list[str]) -> None:
    """Refuse a checkpoint that lacks weights: transformers would make them up at random."""
    if missing:
        title = f"the checkpoint {name!r} lacks {len(missing)} weights, {missing[0]} first"
        raise EnvironmentMissing(title, "download it again, or time it with --load-format dummy")


def _found(name: str, loader: Any, place: str, **options: object) -> Any:  # noqa: ANN401 - transformers is untyped
    try:
        return loader.from_pretrained(place, **options)
    except (OSError, ValueError, ImportError, SafetensorError) as trouble:
        reason = str(trouble).strip().partition("\n")[0]
        hint = "give a Hugging Face id, a checkpoint folder with safetensors, or one of: "
        known = hint + ", ".join(pocket.members())
        if Path(place).exists():
            known = "the folder must hold config.json, *.safetensors and tokenizer.json"
        raise EnvironmentMissing(f"can't load model {name!r}: {reason}", known) from trouble


def _tokenizer(name: str, place: str, settings: Settings) -> Any:  # noqa: ANN401
    try:
        return _with_tokens(
            AutoTokenizer.from_pretrained(place, trust_remote_code=settings.trust_remote_code)
        )
    except (OSError, ValueError, ImportError, KeyError) as trouble:
        if settings.load_format == "dummy":
            return None
        hint = "the folder must hold tokenizer.json; or time it with --load-format dummy"
        raise EnvironmentMissing(f"can't load the tokenizer of {name!r}", hint) from trouble


def _with_tokens(tokenizer: Any) -> Any:  # noqa: ANN401
    """Return a tokenizer that can read text; ValueError of another.

    Where a folder holds none, transformers makes one of some kinds of models that has nothing but
    the tokens that end and pad a text.
    """
    if tokenizer.get_vocab().keys() <= tokenizer.get_added_vocab().keys():
        raise ValueError("it has no tokens")
    return tokenizer


def _refuse_recurrent(name: str, config: Any) -> None:  # noqa: ANN401
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    recurrent = kinds & RECURRENT_LAYERS
    if recurrent or not getattr(text, "num_attention_heads", None):
        found = ", ".join(sorted(recurrent)) or "no attention heads"
        title = f"{name} keeps a recurrent state ({found}), which can't be rolled back"
        hint = "rejected drafts would stay in it (ggml-org/llama.cpp#20075); use an attention model"
        raise UsageError(title, hint)


def facts_of(name: str, model: Any) -> ModelFacts:  # noqa: ANN401
    """Return what is known of a causal model, as its config and its weights have it."""
    config = model.config.get_text_config()
    weights = list(model.parameters())
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    scaling = getattr(config, "rope_parameters", None) or {}
    trained = scaling.get("original_max_position_embeddings") or config.max_position_embeddings
    return ModelFacts(
        name=name,
        architecture=(model.config.architectures or [type(model).__name__])[0],
        parameters=sum(weight.numel() for weight in weights),
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        dtype=str(weights[0].dtype).removeprefix("torch."),
        weight_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        kv_bytes_per_token=2 * config.num_hidden_layers * heads * size * weights[0].element_size(),
        trained_context=trained,
    )
