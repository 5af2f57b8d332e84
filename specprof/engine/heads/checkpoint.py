"""Make a head from its published files, and check that it fits the target.

A checkpoint that lacks weights is refused. With random weights a head would draft wrong tokens.
"""

from typing import Any

import torch
from transformers import LlamaConfig

from specprof.engine.checkpoints.files import CONFIG, Misfit
from specprof.engine.checkpoints.guard import explain_errors
from specprof.engine.checkpoints.numbers import shorten_value
from specprof.engine.heads.head import Form, Head
from specprof.engine.heads.published import Weights, read_head
from specprof.engine.releases import LlamaRotaryEmbedding
from specprof.engine.setup.loading import MATRIX_DIMENSIONS, Loaded, dtype_for
from specprof.errors import EnvironmentMissing, UsageError
from specprof.records import ModelFacts
from specprof.settings import Settings

ROPE_KEYS = frozenset({"rope_theta", "rope_scaling"})
"""Keys that transformers reads from a layer's configuration, but writes in another form."""
LAYER_IDS = "eagle_aux_hidden_state_layer_ids"


def load(name: str, settings: Settings, target: Loaded) -> Loaded:
    """Load the head `name` for `target`: a pocket member, a local folder, or a Hugging Face id.

    Raises EnvironmentMissing if the head is missing or incomplete, UsageError if it was made for
    another target.
    """
    written, weights = read_head(name)
    hint = "config.json and the weights must be those of one head"
    with explain_errors(name, hint, doing="load head"):
        form = _read_form(name, written, weights, target)
        with torch.device("meta"):
            head = Head(form)
    own = _match_weights(name, head, weights, target)
    dtype = dtype_for(settings.dtype, target.device)
    own = {
        each: weight.to(target.device, dtype if weight.is_floating_point() else None)
        for each, weight in own.items()
    }
    head.load_state_dict(own, strict=False, assign=True)
    with explain_errors(name, hint, doing="load head"):
        head.rotary = LlamaRotaryEmbedding(form.config).to(target.device)
    head.eval().requires_grad_(requires_grad=False)
    return Loaded(head, None, _facts(name, head, list(own.values())))


def _read_form(name: str, written: dict[str, Any], weights: Weights, target: Loaded) -> Form:
    """Return how to build the head, by its config and its tensors' shapes."""
    layer = {"num_hidden_layers": 1} | written | _table(written, "transformer_layer_config")
    known = ROPE_KEYS | LlamaConfig().to_dict().keys()
    config = LlamaConfig.from_dict({key: layer[key] for key in layer if key in known})
    config._attn_implementation = "sdpa"  # noqa: SLF001 - transformers has no other way
    shared = target.facts.vocabulary
    if config.vocab_size != shared:
        title = f"{name} drafts for a vocabulary of {config.vocab_size} ids"
        title += f"; {target.facts.name} has {shared}"
        raise UsageError(title, "use a head that was trained for this target")
    width = _hidden_size(target)
    third, own = "layers.0.hidden_norm.weight" in weights, "lm_head.weight"
    taps = _tapped_layers(name, written, target) if third else ()
    reads = _matrix(weights, "fc.weight").shape[1]
    expected = len(taps) * width if third else config.hidden_size + width
    if reads != expected:
        states = f"{len(taps)} hidden states" if third else "an embedding and a hidden state"
        title = f"{name} reads {reads} numbers a token; it would need {expected} "
        title += f"to read {states} of {target.facts.name}, hidden size {width}"
        raise UsageError(title, "use a head that was trained for this target")
    return Form(
        config=config,
        feature_width=width,
        taps=taps,
        draft_vocabulary=_matrix(weights, own).shape[0] if own in weights else 0,
        norm_before_residual=bool(written.get("norm_before_residual", False)),
        biases=frozenset(each.removesuffix(".bias") for each in weights if each.endswith(".bias")),
    )


def _tapped_layers(name: str, written: dict[str, Any], target: Loaded) -> tuple[int, ...]:
    """Return the layers of the target whose entering states an EAGLE-3 head reads.

    Publishers count differently. At the config's top level (speculators, vLLM) an id names the
    state that enters that layer. Inside `eagle_config` (SpecForge, SGLang) it names the state that
    leaves it. Without either, the states that enter layers 2, `layers // 2` and `layers - 3` are
    read (SafeAILab/EAGLE).
    """
    layers = target.facts.layers
    entering = _layer_ids(written)
    leaving = _layer_ids(_table(written, "eagle_config"))
    if entering:
        taps = tuple(entering)
    elif leaving:
        taps = tuple(each + 1 for each in leaving)
    else:
        taps = (2, layers // 2, layers - 3)
    if min(taps) < 0 or max(taps) > layers:
        title = f"{name} reads layers {taps} of a target; {target.facts.name} has {layers} layers"
        raise UsageError(title, "use a head that was trained for this target")
    return taps


def _table(written: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the config's table `key`, empty if there is none. Raises Misfit if it is no table."""
    found = written.get(key) or {}
    if not isinstance(found, dict):
        raise Misfit(f"{CONFIG} says {key} {shorten_value(found)}", "it must be a table")
    return found


def _layer_ids(table: dict[str, Any]) -> list[int]:
    """Return the layer ids a config lists, which may be none. Raises Misfit if it is no list."""
    found = table.get(LAYER_IDS) or []
    if not isinstance(found, list) or any(type(each) is not int for each in found):
        title = f"{CONFIG} says {LAYER_IDS} {shorten_value(found)}"
        raise Misfit(title, "it must be a list of layer numbers")
    return found


def _matrix(weights: Weights, key: str) -> torch.Tensor:
    """Return the weight `key`. Raises Misfit if it is no matrix."""
    found = weights[key]
    if found.ndim != MATRIX_DIMENSIONS:
        raise Misfit(f"{key} has {found.ndim} dimensions", f"it must have {MATRIX_DIMENSIONS}")
    return found


def _match_weights(name: str, head: Head, weights: Weights, target: Loaded) -> Weights:
    """Return the head's own weights; share the target's where the head has none.

    Raises EnvironmentMissing if weights are missing, UsageError if they don't fit the config.
    """
    weights = dict(weights)
    known = weights.pop("t2d", None)
    if head.form.third:
        _check_map(name, head, weights, known)
    model: Any = target.model
    if "embed_tokens.weight" not in weights and _hidden_size(target) == head.config.hidden_size:
        head.embed_tokens = model.get_input_embeddings()
    if "lm_head.weight" not in weights and not head.form.third:
        head.lm_head = model.get_output_embeddings()
    wanted = {each: weight.shape for each, weight in head.state_dict().items() if weight.is_meta}
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        title = f"the head {name!r} lacks weights ({len(missing)} in all), for example {missing[0]}"
        raise EnvironmentMissing(title, "download it again: specprof never replaces them")
    unknown = sorted(weights.keys() - wanted.keys())
    if unknown:
        title = f"the head {name!r} has unknown weights ({len(unknown)} in all), "
        title += f"for example {unknown[0]}"
        raise UsageError(title, "give a head in the format of EAGLE, EAGLE-3 or speculators")
    for each, shape in wanted.items():
        if weights[each].shape != shape:
            found, asked = tuple(weights[each].shape), tuple(shape)
            title = f"{each} of the head {name!r} is {found}, but its config says {asked}"
            raise UsageError(title, "config.json and the weights belong to different heads")
    return weights


def _check_map(name: str, head: Head, weights: Weights, known: torch.Tensor | None) -> None:
    """Refuse a table d2t that points outside the vocabulary or contradicts the mask t2d.

    A d2t left at zero maps every draft id to itself, so wrong tokens are drafted
    (SafeAILab/EAGLE#222).
    """
    ids, vocabulary = head.form.draft_vocabulary, head.config.vocab_size
    if "d2t" not in weights:
        if ids != vocabulary:
            title = f"the head {name!r} drafts {ids} of {vocabulary} ids and doesn't say which"
            raise EnvironmentMissing(title, "its checkpoint must hold the table d2t")
        weights["d2t"] = torch.zeros(ids, dtype=torch.int64)
    table = weights["d2t"] = weights["d2t"].long()
    targets = (table + torch.arange(table.shape[0])).sort().values
    sound = bool(((targets >= 0) & (targets < vocabulary)).all())
    distinct = bool((targets.diff() > 0).all())
    masked = known is None or torch.equal(known.nonzero()[:, 0], targets)
    if not (sound and distinct and masked):
        title = f"the head {name!r} has a table d2t that contradicts its vocabulary or its mask t2d"
        raise UsageError(title, "download it again, or ask its publisher")


def _hidden_size(target: Loaded) -> int:
    model: Any = target.model
    return int(model.config.get_text_config().hidden_size)


def _facts(name: str, head: Head, weights: list[torch.Tensor]) -> ModelFacts:
    """Return a head's facts; `weights` are its own, without those it shares with the target."""
    config = head.config
    row = config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    return ModelFacts(
        name=name,
        architecture="EAGLE-3 head" if head.form.third else "EAGLE head",
        parameters=sum(weight.numel() for weight in weights),
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        dtype=str(head.dtype).removeprefix("torch."),
        weight_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        kv_bytes_per_token=2 * row * head.dtype.itemsize,
        trained_context=config.max_position_embeddings,
    )
