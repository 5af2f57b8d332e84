"""How a model's keys turn with their position, measured on the model itself.

Rotary embeddings turn pairs of a key's numbers by an angle proportional to its position (arXiv
2104.09864). So a stored key can be moved to another position by turning it further. Models differ
in which numbers are turned, how fast, and in which layers. This module does not know architectures:
it feeds a few tokens at two positions, and the rotation of a layer is the one that turns the first
keys into the second. A model without such a rotation is refused.
"""

from dataclasses import dataclass
from typing import Any

import torch

from specprof.engine.heads.head import Head
from specprof.engine.releases import with_cache
from specprof.engine.stores.dense import Store
from specprof.errors import UsageError

LENGTH_BOUND = frozenset({"dynamic", "longrope"})
"""RoPE scalings whose angles depend on the length of the text."""
FED_TOKENS = 8
SHIFT = 251
"""Positions between the first feeding of these tokens and the second."""
MAX_ROTATION_ERROR = 0.1
"""Relative error of keys up to which a rotation fits: what bfloat16 leaves through many layers."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How fast each number of a layer's keys turns; pairs lie half of the turned part apart."""

    speeds: torch.Tensor
    """[head size] radians per position; 0 for numbers that are not turned."""
    pairs: int
    """Numbers 0 to pairs - 1 turn with numbers pairs to 2 * pairs - 1."""

    def circle(self, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cosines and sines [..., head size] of turns by `steps` [...] positions."""
        angles = steps[..., None].float() * self.speeds
        return angles.cos(), angles.sin()

    def quarter(self, states: torch.Tensor) -> torch.Tensor:
        """Return [..., head size] float32 states turned by a right angle."""
        states, pairs = states.float(), self.pairs
        first, second = states[..., :pairs], states[..., pairs : 2 * pairs]
        return torch.cat([-second, first, torch.zeros_like(states[..., 2 * pairs :])], -1)

    def turn(self, states: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Return [..., head size] float32 states turned by `steps` [...] positions."""
        cos, sin = self.circle(steps)
        return torch.addcmul(states.float() * cos, self.quarter(states), sin)


def rotations(model: torch.nn.Module) -> list[Rotation]:
    """Return the rotation of each layer; layers that share a rotation share the object.

    Raises UsageError if stored keys can't be moved.
    """
    name = str(model.config.model_type)  # type: ignore[union-attr]
    if scaling := length_dependent_scaling(model):
        raise _refusal(name, f"the angles of its {scaling} RoPE depend on the text's length")
    speeds = [buffer.float() for key, buffer in model.named_buffers() if _is_speeds(key)]
    if not speeds:
        raise _refusal(name, "it has no rotary position embedding")
    here, there = _read_keys(model, 0), _read_keys(model, SHIFT)
    choices = {
        size: _possible_rotations(speeds, size) for size in {keys.shape[-1] for keys in here}
    }
    found = [
        _best_rotation(choices[keys.shape[-1]], keys, moved)
        for keys, moved in zip(here, there, strict=True)
    ]
    if not all(found) or not any(each.pairs for each in found if each):
        layer = f" (layer {found.index(None)})" if None in found else ""
        raise _refusal(name, f"its stored keys don't turn by halves with their position{layer}")
    return [each for each in found if each]


def length_dependent_scaling(model: torch.nn.Module) -> str | None:
    """Return the RoPE scaling that makes a model's angles depend on the length; None: none does."""
    scalings = {each for module in model.modules() for each in _scalings(module)} & LENGTH_BOUND
    return min(scalings, default=None)


def _refusal(name: str, reason: str) -> UsageError:
    title = f"the cache sink-window can't move stored keys of a {name} model: {reason}"
    return UsageError(title, "use the cache dense for this model")


def _scalings(module: torch.nn.Module) -> set[str]:
    kinds = getattr(module, "rope_type", None)
    return set(kinds.values() if isinstance(kinds, dict) else [kinds] if kinds else [])


def _is_speeds(key: str) -> bool:
    """Return whether a buffer of that name holds the speeds of a rotary embedding."""
    buffer = key.rpartition(".")[2]
    return buffer.endswith("inv_freq") and "original" not in buffer


@torch.inference_mode()
def _read_keys(model: Any, start: int) -> list[torch.Tensor]:  # noqa: ANN401 - transformers is untyped
    """Return each layer's [1, heads, tokens, head size] keys of a few tokens from `start` on."""
    config = model.config.get_text_config()
    store = Store(config.num_hidden_layers, FED_TOKENS)
    device = next(model.parameters()).device
    tokens = torch.arange(1, FED_TOKENS + 1, device=device)[None] % config.vocab_size
    positions = torch.arange(start, start + FED_TOKENS, device=device)[None]
    if isinstance(model, Head):
        hidden = model.embed_tokens(tokens)
        model(tokens, hidden, positions, None, store)
    else:
        model(
            tokens,
            position_ids=positions,
            **with_cache(model, store),
            use_cache=True,
            logits_to_keep=1,
        )
    return [layer.keys for layer in store.layers]


def _possible_rotations(speeds: list[torch.Tensor], size: int) -> list[Rotation]:
    """Return the rotations that [size] keys may have: none at all, and one for each speed."""
    still = speeds[0].new_zeros(0)  # layers without positions
    return [
        Rotation(torch.cat([each, each, each.new_zeros(size - 2 * each.shape[0])]), each.shape[0])
        for each in [still, *speeds]
        if 2 * each.shape[0] <= size
    ]


def _best_rotation(
    choices: list[Rotation], here: torch.Tensor, there: torch.Tensor
) -> Rotation | None:
    """Return the rotation that best turns keys `here` into keys `there`; None if none fits."""
    shift, there = torch.tensor(SHIFT, device=there.device), there.float()
    errors = [(each.turn(here, shift) - there).norm().item() for each in choices]
    best = min(range(len(errors)), key=errors.__getitem__)
    return choices[best] if errors[best] <= MAX_ROTATION_ERROR * there.norm().item() else None
