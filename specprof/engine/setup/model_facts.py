"""What a loaded model does with positions and tokens, beside what its configuration asks for.

Read off the modules when a run begins, not when its checkpoint was loaded: what changed since, or
was never applied, shows as a difference of the two.
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

DIGITS = 16


def looked_over(
    loaded: Loaded, path: ForwardPath | None = None, decoder: Decoder | None = None
) -> ModelFacts:
    """Return a model's facts with those that only the loaded model can tell.

    `path` is how its forwards were asked to be computed; None: not by this engine. `decoder` is
    what computes them.
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
    """Return how its forwards are computed, where this engine computes them.

    A head has a decoder of its own kind, which says nothing of it: the path is chosen here.
    """
    within = innermost(decoder)
    if isinstance(within, CausalModel):
        return within.how
    return choose_path(loaded.model, path) if path else None


def rotation(model: torch.nn.Module) -> list[float]:
    """Return the radians a position of each rotary pair, from the modules' own buffers.

    Kinds of layers that turn differently stand one after another, by name.
    """
    found: dict[str, torch.Tensor] = {}
    for path, buffer in model.named_buffers():
        name = path.rpartition(".")[2]
        if name.endswith("inv_freq") and "original" not in name:
            found.setdefault(name, buffer)
    return [speed for name in sorted(found) for speed in _listed(found[name])]


def rotation_configured(config: Any) -> list[float]:  # noqa: ANN401 - transformers is untyped
    """Return the same as the configuration asks for; none where that can't be said.

    It depends on the text's length, or is of a kind that transformers no longer tells.
    """
    kinds = rope_kinds(config)
    if LENGTH_BOUND & set(kinds.values()) or set(kinds.values()) - {"default", *_scalings()}:
        return []
    return [speed for layer in sorted(kinds) for speed in _listed(_asked(config, layer))]


def rope_kinds(config: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the kind of rotation of each kind of layer; of all alike under the name ''."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" in parameters or "rope_type" in parameters:
        return {"": parameters.get("rope_type") or "default"}
    used = set(getattr(config, "layer_types", None) or parameters)
    return {
        layer: each.get("rope_type") or "default"
        for layer, each in parameters.items()
        if each and layer in used
    }


def _asked(config: Any, layer: str) -> torch.Tensor:  # noqa: ANN401
    """Return [pairs] what the configuration asks of that kind of layer, '' for all."""
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
    """Return what makes the speeds of each kind of scaling; none where it was moved."""
    try:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    except ImportError:
        return {}
    found: dict[str, Any] = ROPE_INIT_FUNCTIONS
    return found


def _listed(speeds: torch.Tensor) -> list[float]:
    return [float(f"{speed:.6g}") for speed in speeds.float().tolist()]


def _window(config: Any) -> int | None:  # noqa: ANN401
    """Return how many tokens the sliding layers see, where there are any."""
    kinds = set(getattr(config, "layer_types", None) or ())
    slides = getattr(config, "use_sliding_window", True) and kinds != {"full_attention"}
    return (getattr(config, "sliding_window", None) or None) if slides else None


def _vocabulary_sha(tokenizer: Any) -> str | None:  # noqa: ANN401
    """Return what tells two tokenizers' tables apart, in a few digits."""
    if tokenizer is None:
        return None
    table = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    return hashlib.sha256(msgspec.json.encode(table)).hexdigest()[:DIGITS]
