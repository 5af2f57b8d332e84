"""Read what a loaded model does with positions and tokens, and what its configuration asks for.

The modules are read when a run begins, not when the checkpoint was loaded. A setting that changed
since, or was never applied, shows as a difference between the two.
"""

import hashlib
from typing import Any

import msgspec
import torch

from specprof.engine.decoder import CausalModel, Decoder, Forwards, innermost
from specprof.engine.flat.proof import choose_path
from specprof.engine.replay.decision import replay_status
from specprof.engine.setup.loading import Loaded
from specprof.engine.stores.rotation import LENGTH_BOUND
from specprof.records import ModelFacts
from specprof.settings import ForwardPath

SHA_DIGITS = 16


def add_loaded_facts(
    loaded: Loaded, path: ForwardPath | None = None, decoder: Decoder | None = None
) -> ModelFacts:
    """Return a model's facts, completed by those that only the loaded model shows.

    `path` is the way of computing its forwards that was asked for; None if this engine doesn't
    compute them. `decoder` computes them.
    """
    model: Any = loaded.model
    config = model.config.get_text_config()
    kinds = rope_kinds(config)
    forwards, (replayed, replay_reason) = _forwards(loaded, path, decoder), replay_status(decoder)
    return msgspec.structs.replace(
        loaded.facts,
        window=_window(config),
        rope=", ".join(dict.fromkeys(kinds.values())) or None,
        rotation=rotation(model),
        rotation_configured=rotation_configured(config),
        vocabulary_sha=_vocabulary_sha(loaded.tokenizer),
        path=forwards.path if forwards else None,
        path_reason=forwards.path_reason if forwards else None,
        graphs=replayed,
        graphs_reason=replay_reason,
    )


def _forwards(loaded: Loaded, path: ForwardPath | None, decoder: Decoder | None) -> Forwards | None:
    """Return how a model's forwards are computed; None if this engine doesn't compute them.

    A head's decoder doesn't record it: for a head the path is chosen again here.
    """
    within = innermost(decoder)
    if isinstance(within, CausalModel):
        return within.how
    return choose_path(loaded.model, path) if path else None


def rotation(model: torch.nn.Module) -> list[float]:
    """Return each rotary pair's radians per position, from the modules' own buffers.

    If kinds of layers rotate differently, their pairs follow one another in the order of names.
    """
    found: dict[str, torch.Tensor] = {}
    for path, buffer in model.named_buffers():
        name = path.rpartition(".")[2]
        if name.endswith("inv_freq") and "original" not in name:
            found.setdefault(name, buffer)
    return [speed for name in sorted(found) for speed in _round_speeds(found[name])]


def rotation_configured(config: Any) -> list[float]:  # noqa: ANN401 - transformers is untyped
    """Return each rotary pair's radians per position, by the configuration; [] if unknown.

    They are unknown if they depend on the text's length, or if this transformers can't compute
    that kind of rotation.
    """
    kinds = rope_kinds(config)
    if LENGTH_BOUND & set(kinds.values()) or set(kinds.values()) - {"default", *_scalings()}:
        return []
    return [
        speed
        for layer in sorted(kinds)
        for speed in _round_speeds(_configured_speeds(config, layer))
    ]


def rope_kinds(config: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the kind of rotation of each kind of layer; '' stands for layers that are alike."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" in parameters or "rope_type" in parameters:
        return {"": parameters.get("rope_type") or "default"}
    used = set(getattr(config, "layer_types", None) or parameters)
    return {
        layer: each.get("rope_type") or "default"
        for layer, each in parameters.items()
        if each and layer in used
    }


def _configured_speeds(config: Any, layer: str) -> torch.Tensor:  # noqa: ANN401
    """Return [pairs] the configured radians per position of a kind of layer, '' for all."""
    parameters = config.rope_parameters[layer] if layer else config.rope_parameters
    kind = parameters.get("rope_type") or "default"
    if kind != "default":
        scaled: torch.Tensor = _scalings()[kind](config, None, layer_type=layer or None)[0]
        return scaled
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turned = int(size * (parameters.get("partial_rotary_factor") or 1.0))
    exponents = -torch.arange(0, turned, 2).float() / turned  # [pairs]
    return torch.tensor(float(parameters["rope_theta"])).pow(exponents)


def _scalings() -> dict[str, Any]:
    """Return transformers' function for each kind of scaling; {} if a release has moved them."""
    try:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    except ImportError:
        return {}
    found: dict[str, Any] = ROPE_INIT_FUNCTIONS
    return found


def _round_speeds(speeds: torch.Tensor) -> list[float]:
    return [float(f"{speed:.6g}") for speed in speeds.float().tolist()]


def _window(config: Any) -> int | None:  # noqa: ANN401
    """Return how many tokens the sliding layers see; None if no layer slides."""
    kinds = set(getattr(config, "layer_types", None) or ())
    slides = getattr(config, "use_sliding_window", True) and kinds != {"full_attention"}
    return (getattr(config, "sliding_window", None) or None) if slides else None


def _vocabulary_sha(tokenizer: Any) -> str | None:  # noqa: ANN401
    """Return a short hash of a tokenizer's table; None without a tokenizer."""
    if tokenizer is None:
        return None
    table = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    return hashlib.sha256(msgspec.json.encode(table)).hexdigest()[:SHA_DIGITS]
