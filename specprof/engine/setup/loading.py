"""Load a causal language model and return its facts.

Weights come from safetensors only. No code from a checkpoint's repository runs unless the settings
ask for it. A model whose state can't be rolled back is refused: rejected tokens would stay in it.
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
from specprof.engine.checkpoints.guard import explain_errors
from specprof.engine.checkpoints.numbers import shorten_value
from specprof.engine.checkpoints.survey import Survey, survey
from specprof.engine.setup.fits import check_loads
from specprof.engine.setup.tokens import refuse_running_tokenizer, token_ids
from specprof.errors import NOT_FINITE, EnvironmentMissing, UsageError, summarise_error
from specprof.narration import log_compiled_code
from specprof.reading import read_text
from specprof.records import ModelFacts
from specprof.settings import Settings
from specprof.tokenizer_file import find_added_trouble, find_trouble

transformers_logging.disable_progress_bar()  # the run narrates itself, one line at a time

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
TRIAL_TOKENS = 2
"""Tokens fed to try a loaded model."""
MATRIX_DIMENSIONS = 2
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
MAX_ANSWER_CHANGE = 0.5
"""The most that rounding changes an answer, as a share of its logits' spread. It holds for trained
weights: with random weights, rounding may send a token to other experts."""


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
        listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
        return frozenset(each for each in listed if 0 <= each < self.facts.vocabulary)


_loaded: "dict[_Key, Loaded]" = {}
"""Models that this process has loaded; the runs of a sweep share them. No run changes a model."""


_surveys: "dict[_Key, Survey]" = {}
"""Surveys of models that the beginning run has not loaded yet, so the hub is asked once a run."""


def load(name: str, settings: Settings, device: torch.device) -> Loaded:
    """Load `name`: a pocket member, a local folder, or a Hugging Face id; once a process.

    It is surveyed first, so that nothing is loaded in vain. Raises EnvironmentMissing if it can't
    be loaded, UsageError if its state can't be rolled back.
    """
    refuse_running_tokenizer()
    key = _key(name, settings, device)
    if key not in _loaded:
        surveyed = _surveys.pop(key, None) or survey(name, settings, key.dtype)
        _loaded[key] = _load(surveyed, settings, device)
    return _loaded[key]


def survey_models(
    names: Iterable[str | None], settings: Settings, device: torch.device
) -> list[tuple[ModelFacts, int]]:
    """Return each named model's facts, and the bytes that loading it will take; load nothing.

    Raises as `load` does.
    """
    _surveys.clear()
    found = list[tuple[ModelFacts, int]]()
    for name in names:
        if name is None:  # its drafter refuses this
            continue
        key = _key(name, settings, device)
        if key in _loaded:
            found.append((_loaded[key].facts, 0))
            continue
        surveyed = _surveys.get(key) or survey(name, settings, key.dtype)
        _surveys[key] = surveyed
        with explain_errors(name, surveyed.hint):
            found.append((facts_of(name, surveyed.skeleton), surveyed.weight_bytes))
    return found


class _Key(NamedTuple):
    """What a model's weights depend on."""

    name: str
    stamp: tuple[tuple[str, int, int], ...]
    dtype: torch.dtype
    device: torch.device
    seed: int | None
    """The seed of random weights; None for a checkpoint's own."""
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
    """Return names, times and sizes of a local checkpoint's files: they differ once it changes."""
    if isinstance(place, str):
        return ()
    facts = ((path.name, _facts_of_file(path)) for path in sorted(place.iterdir()))
    return tuple((name, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


def _facts_of_file(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:  # a link to nowhere
        return path.lstat()


def _load(surveyed: Survey, settings: Settings, device: torch.device) -> Loaded:
    name = surveyed.name
    surveyed.check_weights()
    check_loads(name, surveyed.weight_bytes, device)
    with explain_errors(name, surveyed.hint):
        model = _random_model(surveyed, settings.seed) if surveyed.dummy else _read_model(surveyed)
        model = model.to(device).eval().requires_grad_(requires_grad=False)
        facts = facts_of(name, model)
    tokenizer = _load_tokenizer(surveyed)
    with explain_errors(name, "check its config.json and its weights", doing="run model"):
        _check_finite(model)
        _try_model(model, facts.vocabulary, trained=not surveyed.dummy)
    return Loaded(model, tokenizer, facts)


def _random_model(surveyed: Survey, seed: int) -> Any:  # noqa: ANN401 - transformers is untyped
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(
        surveyed.config,
        dtype=surveyed.dtype,
        trust_remote_code=surveyed.options["trust_remote_code"],
    )


def _read_model(surveyed: Survey) -> Any:  # noqa: ANN401
    """Return the model with its weights. Refuse a checkpoint that lacks some: they'd be random."""
    model, report = AutoModelForCausalLM.from_pretrained(
        surveyed.place,
        dtype=surveyed.dtype,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # refused below, by name
        **surveyed.options,
    )
    if misfits := sorted(report.get("mismatched_keys") or ()):
        key, found, asked = misfits[0]
        raise Misfit(f"{key} is {list(found)}, but its config.json says {list(asked)}")
    if missing := sorted(report["missing_keys"]):
        title = f"the checkpoint {surveyed.name!r} lacks weights ({len(missing)} in all), "
        title += f"for example {missing[0]}"
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
def _try_model(model: Any, vocabulary: int, *, trained: bool) -> None:  # noqa: ANN401
    """Feed a few tokens: a model that can be built may still not compute.

    Raises Misfit if no logit is a number, or if an answer changes with the tokens after it.
    """
    device = next(model.parameters()).device
    tokens = torch.arange(1, 1 + TRIAL_TOKENS, device=device)[None] % vocabulary
    whole, first = _logits(model, tokens), _logits(model, tokens[:, :1])
    places = whole.shape[0]
    if whole.ndim != MATRIX_DIMENSIONS or places != TRIAL_TOKENS or whole.shape[1] < vocabulary:
        title = f"its logits of {TRIAL_TOKENS} tokens are {list(whole.shape)}"
        raise Misfit(f"{title}, but its vocabulary has {vocabulary} ids")
    if not whole[-1].isfinite().any():
        raise Misfit(f"its {NOT_FINITE} or infinity, all of them", "check its weights")
    spread = (first - first.mean()).square().mean().sqrt()
    if trained and (whole[:1] - first).square().mean().sqrt() > MAX_ANSWER_CHANGE * spread:
        raise Misfit("an answer changes with the tokens after it", "give a causal language model")


def _logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return [tokens, vocab] logits of [1, tokens]. Raises Misfit if the model returns none."""
    logits = getattr(model(tokens, use_cache=False), "logits", None)
    if not torch.is_tensor(logits) or logits.ndim <= MATRIX_DIMENSIONS or not len(logits):
        raise Misfit("it returns no logits", "give a causal language model")
    return logits[0].float()


def device_for(asked: str) -> torch.device:
    """Return the device asked for; `auto` is the accelerator if there is one."""
    if asked == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return torch.device(found.type, 0) if found else torch.device("cpu")
    try:
        device = torch.empty(1, device=torch.device(asked)).device  # with its index
        torch.Generator(device)
    except Exception as trouble:
        reason = summarise_error(trouble, (Exception,))
        hint = "use --device cpu, or install the torch build for your accelerator (see README)"
        raise EnvironmentMissing(f"can't use device {asked!r}: {reason}", hint) from trouble
    if device.type != "cpu" and device.index is not None:
        torch.accelerator.set_device_index(device.index)  # events are recorded on the current one
    return device


def dtype_for(asked: str, device: torch.device) -> torch.dtype:
    """Return the dtype asked for; `auto` is bfloat16 on an accelerator and float32 on a CPU."""
    if asked == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    known = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES}
    if asked not in known:
        raise UsageError(f"can't run a model in dtype {asked!r}", f"use auto, {', '.join(known)}")
    return known[asked]


def shared_vocabulary(target: Loaded, draft: Loaded) -> int:
    """Return how many ids both models have; refuse a pair whose ids mean different things.

    The models of a family pad their embeddings past the last token, each to its own length.
    """
    _check_same_tokens(target, draft)
    return min(target.facts.vocabulary, draft.facts.vocabulary)


def _check_same_tokens(target: Loaded, draft: Loaded) -> None:
    title = (
        f"{target.facts.name} and {draft.facts.name} have different vocabularies "
        f"({target.facts.vocabulary} and {draft.facts.vocabulary} tokens"
    )
    hint = "an id must mean the same token to both: choose a draft of the target's own family"
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


def _load_tokenizer(surveyed: Survey) -> Any:  # noqa: ANN401
    hint = "the folder must hold tokenizer.json; or time it with --load-format dummy"
    try:
        with explain_errors(surveyed.name, hint, doing="load the tokenizer of"):
            _check_tokenizer(surveyed)
            with log_compiled_code():
                tokenizer = AutoTokenizer.from_pretrained(surveyed.place, **surveyed.options)
            _check_reads_text(tokenizer)
            return tokenizer
    except EnvironmentMissing:
        if surveyed.dummy:
            refuse_running_tokenizer()
            return None
        raise


def _check_tokenizer(surveyed: Survey) -> None:
    """Refuse a tokenizer that could take gigabytes or hours for a word, or names other files."""
    config = surveyed.files.path(TOKENIZER_CONFIG)
    written = {} if config is None else read_json(config)
    if "fast_tokenizer_files" in written:  # what transformers would read instead
        raise Misfit(f"its {TOKENIZER_CONFIG} names other files to be read in place of {TOKENIZER}")
    path = surveyed.files.path(TOKENIZER)
    trouble = find_added_trouble(written) or (
        None if path is None else find_trouble(read_text(path, LARGEST_TOKENIZER_BYTES))
    )
    if trouble:
        raise Misfit(trouble)


def _check_reads_text(tokenizer: Any) -> None:  # noqa: ANN401
    """Raise Misfit for a tokenizer that can't read text.

    If a folder holds no tokenizer, transformers makes one for some kinds of models. It has only the
    tokens that end and pad a text.
    """
    if tokenizer.get_vocab().keys() <= tokenizer.get_added_vocab().keys():
        raise Misfit("it has no tokens")
    ids = token_ids(tokenizer, "a text")
    if not isinstance(ids, list) or not all(type(each) is int and each >= 0 for each in ids):
        raise Misfit(f"it makes no token ids of a text: {shorten_value(ids)}")


def facts_of(name: str, model: Any) -> ModelFacts:  # noqa: ANN401
    """Return a causal model's facts, from its config and its weights."""
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
