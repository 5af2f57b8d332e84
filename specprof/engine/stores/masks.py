"""From what each new token may see to the mask a Hugging Face model takes.

A model with sliding-window layers takes one mask for each kind of layer; a ready-made mask is used
as it is, so the window has to be drawn into it here.
"""

from typing import Any

import torch

from specprof.engine.stores.dense import Placement

Mask = torch.Tensor | dict[str, torch.Tensor] | None


def attention_mask(model: Any, place: Placement) -> Mask:  # noqa: ANN401 - transformers is untyped
    """Return None where the model's own causal mask is right, else what it takes in its place."""
    if place.visible is None:
        return None
    config, dtype = model.config.get_text_config(), model.dtype
    kinds = set(getattr(config, "layer_types", None) or ())
    full = _additive(place.visible, dtype)
    if not slides(model):
        return full
    assert place.columns is not None  # noqa: S101 - whoever says what is visible says where it is
    back = place.positions[:, :, None] - place.columns[:, None]  # [1, n, columns]
    near = back < config.sliding_window
    windowed = _additive(place.visible & near, dtype)
    if not kinds or kinds == {"sliding_attention"}:
        return windowed
    return {"full_attention": full, "sliding_attention": windowed}


def slides(model: Any) -> bool:  # noqa: ANN401 - transformers is untyped
    """Return whether any layer of a model sees a window only."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    return bool(
        window and kinds != {"full_attention"} and getattr(config, "use_sliding_window", True)
    )


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return [1, 1, n, columns]: 0 where visible, else the least number; every kernel takes it."""
    least = torch.finfo(dtype).min
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(
        ~visible, least
    )[:, None]
