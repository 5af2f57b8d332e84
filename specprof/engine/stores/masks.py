"""Makes the attention mask that a Hugging Face model takes, from what each new token may see.

A model with sliding-window layers takes one mask for each kind of layer. Such a model uses a mask
that it is given as it is, so the window must be part of it.
"""

from typing import Any

import torch

from specprof.engine.stores.dense import Placement

Mask = torch.Tensor | dict[str, torch.Tensor] | None


def attention_mask(model: Any, place: Placement) -> Mask:  # noqa: ANN401 - transformers is untyped
    """Return the mask a model takes for `place`; None where its own causal mask is right."""
    if place.visible is None:
        return None
    config, dtype = model.config.get_text_config(), model.dtype
    kinds = set(getattr(config, "layer_types", None) or ())
    full = _additive(place.visible, dtype)
    if not has_sliding_layers(model):
        return full
    assert place.columns is not None  # noqa: S101 - it stands beside `visible`
    back = place.positions[:, :, None] - place.columns[:, None]  # [1, n, columns]
    near = back < config.sliding_window
    windowed = _additive(place.visible & near, dtype)
    if not kinds or kinds == {"sliding_attention"}:
        return windowed
    return {"full_attention": full, "sliding_attention": windowed}


def has_sliding_layers(model: Any) -> bool:  # noqa: ANN401 - transformers is untyped
    """Return whether a layer of the model sees only a window."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    return bool(
        window and kinds != {"full_attention"} and getattr(config, "use_sliding_window", True)
    )


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return [1, 1, n, columns]: 0 where visible, else the least number, for any kernel."""
    least = torch.finfo(dtype).min
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(
        ~visible, least
    )[:, None]
