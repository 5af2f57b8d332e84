"""Loads a causal language model and says what is known of it.

Weights come from safetensors only, and no code from a checkpoint's repository runs unless asked
for. A model whose state can't be rolled back is refused: its rejected tokens would stay in it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from specprof.amounts import LARGEST_TOKENIZER_BYTES
from specprof.engine.checkpoints import where
from specprof.engine.checkpoints.files import Misfit, read_json
from specprof.engine.checkpoints.guard import guarded
from specprof.engine.checkpoints.numbers import shown
from specprof.engine.checkpoints.survey import Survey, survey
from specprof.engine.setup.fits import check_loads
from specprof.engine.setup.tokens import refuse_beside_another, token_ids
from specprof.errors import NOT_FINITE, EnvironmentMissing, UsageError, in_a_line
from specprof.reading import read_text
from specprof.records import ModelFacts
from specprof.settings import Settings
from specprof.tokenizer_file import trouble_with, trouble_with_added

transformers_logging.disable_progress_bar()  # the run narrates itself, one line at a time

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
TRIED = 2
"""Tokens fed once a model is loaded."""
MATRIX = 2
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
LOOKS_AHEAD = 0.5
"""Change of an answer, as a share of its logits' spread, that no rounding makes; random weights
may send a token to other experts for less."""


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
        told = ends if isinstance(ends, list) else [] if ends is None else [ends]
        return frozenset(each for each in told if 0 <= each < self.facts.vocabulary)


_kept: "dict[_Key, Loaded]" = {}
"""What this process has loaded: the runs of a sweep share it. A model is never changed by a run."""


_looked: "dict[_Key, Survey]" = {}
"""What the run that begins has looked over and not loaded yet: the hub is asked once a run."""


def load(name: str, settings: Settings, device: torch.device) -> Loaded:
    """Load `name`: a pocket member, a local folder, or a Hugging Face id; once a process.

    It is looked over first, so that nothing is loaded in vain. Raises EnvironmentMissing where it
    can't be had, UsageError where it can't be rolled back.
    """
    refuse_beside_another()
    known = _key(name, settings, device)
    if known not in _kept:
        looked = _looked.pop(known, None) or survey(name, settings, known.dtype)
        _kept[known] = _load(looked, settings, device)
    return _kept[known]


def look(
    names: Iterable[str | None], settings: Settings, device: torch.device
) -> list[tuple[ModelFacts, int]]:
    """Return each named model's facts, and the bytes that loading it will take; loads nothing.

    Raises as `load` does.
    """
    _looked.clear()
    found = list[tuple[ModelFacts, int]]()
    for name in names:
        if name is None:  # for its drafter to refuse
            continue
        known = _key(name, settings, device)
        if known in _kept:
            found.append((_kept[known].facts, 0))
            continue
        looked = _looked.get(known) or survey(name, settings, known.dtype)
        _looked[known] = looked
        with guarded(name, looked.hint):
            found.append((facts_of(name, looked.skeleton), looked.weight_bytes))
    return found


class _Key(NamedTuple):
    """What decides a model's weights."""

    name: str
    stamp: tuple[tuple[str, int, int], ...]
    dtype: torch.dtype
    device: torch.device
    seed: int | None
    """Which made the random weights."""
    trusted: bool


def _key(name: str, settings: Settings, device: torch.device) -> _Key:
    return _Key(
        name=name,
        stamp=_stamp(where.place_of(name)),
        dtype=dtype_for(settings.dtype, device),
        device=device,
        seed=settings.seed if settings.load_format == "dummy" else None,
        trusted=settings.trust_remote_code,
    )


def _stamp(place: Path | str) -> tuple[tuple[str, int, int], ...]:
    """Return what tells a local checkpoint from what it was before it was written anew."""
    if isinstance(place, str):
        return ()
    facts = ((path.name, _facts_of_file(path)) for path in sorted(place.iterdir()))
    return tuple((name, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


def _facts_of_file(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:  # a link to nowhere
        return path.lstat()


def _load(looked: Survey, settings: Settings, device: torch.device) -> Loaded:
    name = looked.name
    looked.check_weights()
    check_loads(name, looked.weight_bytes, device)
    with guarded(name, looked.hint):
        model = _made_up(looked, settings.seed) if looked.dummy else _read(looked)
        model = model.to(device).eval().requires_grad_(requires_grad=False)
        facts = facts_of(name, model)
    tokenizer = _tokenizer(looked)
    with guarded(name, "check its config.json and its weights", doing="run model"):
        _check_finite(model)
        _try(model, facts.vocabulary, trained=not looked.dummy)
    return Loaded(model, tokenizer, facts)


def _made_up(looked: Survey, seed: int) -> Any:  # noqa: ANN401 - transformers is untyped
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(
        looked.config, dtype=looked.dtype, trust_remote_code=looked.options["trust_remote_code"]
    )


def _read(looked: Survey) -> Any:  # noqa: ANN401
    """Return the model with its weights; refuse those that lack some: they would be made up."""
    model, told = AutoModelForCausalLM.from_pretrained(
        looked.place,
        dtype=looked.dtype,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, by name
        **looked.options,
    )
    if misfits := sorted(told.get("mismatched_keys") or ()):
        key, found, asked = misfits[0]
        raise Misfit(f"{key} is {list(found)}, and its config.json says {list(asked)}")
    if missing := sorted(told["missing_keys"]):
        title = f"the checkpoint {looked.name!r} lacks {len(missing)} weights, {missing[0]} first"
        raise EnvironmentMissing(title, "download it again, or time it with --load-format dummy")
    return model


@torch.inference_mode()
def _check_finite(model: torch.nn.Module) -> None:
    """Refuse weights that hold NaN or infinity: attention may hide them for a few tokens."""
    for name, weight in model.named_parameters():
        if weight.dtype in DTYPES and weight.numel():
            least, most = weight.aminmax()
            if not (least.isfinite() and most.isfinite()):
                raise Misfit(
                    f"{name} holds NaN or infinity", "download it again, or ask its publisher"
                )


@torch.inference_mode()
def _try(model: Any, vocabulary: int, *, trained: bool) -> None:  # noqa: ANN401
    """Feed a few tokens, as `transformers` would: a configuration may build and not compute.

    Raises Misfit where no answer is a number, or an answer changes with what follows it.
    """
    tokens = torch.arange(1, 1 + TRIED, device=next(model.parameters()).device)[None] % vocabulary
    whole, first = _logits(model, tokens), _logits(model, tokens[:, :1])
    if whole.ndim != MATRIX or whole.shape[0] != TRIED or whole.shape[1] < vocabulary:
        title = f"its logits of {TRIED} tokens are {list(whole.shape)}"
        raise Misfit(f"{title}, and its vocabulary has {vocabulary}")
    if not whole[-1].isfinite().any():
        raise Misfit(f"its {NOT_FINITE} or infinity, all of them", "check its weights")
    spread = (first - first.mean()).square().mean().sqrt()
    if trained and (whole[:1] - first).square().mean().sqrt() > LOOKS_AHEAD * spread:
        raise Misfit("an answer changes with the tokens after it", "give a causal language model")


def _logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return what a model makes of a text, (tokens, vocabulary); Misfit where that is no logits."""
    logits = getattr(model(tokens, use_cache=False), "logits", None)
    if not torch.is_tensor(logits) or logits.ndim <= MATRIX or not len(logits):
        raise Misfit("it returns no logits", "give a causal language model")
    return logits[0].float()


def device_for(asked: str) -> torch.device:
    """Return the asked device; `auto` is the accelerator where there is one."""
    if asked == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return torch.device(found.type, 0) if found else torch.device("cpu")
    try:
        device = torch.empty(1, device=torch.device(asked)).device  # with its index
        torch.Generator(device)
    except Exception as trouble:
        reason = in_a_line(trouble, (Exception,))
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


def _tokenizer(looked: Survey) -> Any:  # noqa: ANN401
    hint = "the folder must hold tokenizer.json; or time it with --load-format dummy"
    try:
        with guarded(looked.name, hint, doing="load the tokenizer of"):
            _check_tokenizer(looked)
            return _with_tokens(AutoTokenizer.from_pretrained(looked.place, **looked.options))
    except EnvironmentMissing:
        if looked.dummy:
            refuse_beside_another()
            return None
        raise


def _check_tokenizer(looked: Survey) -> None:
    """Refuse a tokenizer that would make gigabytes of a word, or hours, or is another file's."""
    config = looked.files.path(TOKENIZER_CONFIG)
    written = {} if config is None else read_json(config)
    if "fast_tokenizer_files" in written:  # what transformers would read instead
        raise Misfit(f"its {TOKENIZER_CONFIG} names other files to be read in place of {TOKENIZER}")
    path = looked.files.path(TOKENIZER)
    trouble = trouble_with_added(written) or (
        None if path is None else trouble_with(read_text(path, LARGEST_TOKENIZER_BYTES))
    )
    if trouble:
        raise Misfit(trouble)


def _with_tokens(tokenizer: Any) -> Any:  # noqa: ANN401
    """Return a tokenizer that can read text; Misfit of another.

    Where a folder holds none, transformers makes one of some kinds of models that has nothing but
    the tokens that end and pad a text.
    """
    if tokenizer.get_vocab().keys() <= tokenizer.get_added_vocab().keys():
        raise Misfit("it has no tokens")
    ids = token_ids(tokenizer, "a text")
    if not isinstance(ids, list) or not all(type(each) is int and each >= 0 for each in ids):
        raise Misfit(f"it makes no token ids of a text: {shown(ids)}")
    return tokenizer


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
