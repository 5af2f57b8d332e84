"""Models whose attention is replaced: references for caches that change what a token sees.

Plain and slow: a forward over the bare tokens, in which each token attends by the cache's rule. It
shares that rule with the cache, but none of its bookkeeping: no rows, no copies, no rollback.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface

from specprof.engine.stores.quantised import dequantise, quantise
from specprof.engine.stores.rotation import Rotation
from specprof.engine.stores.window import Window
from specprof.errors import UsageError

ATTENTION_NAME = "specprof-reference"
ENDLESS_WINDOW = 2**40
"""Longer than any text."""
QUERIES_AT_ONCE = 256
"""Bounds the memory that a long text takes."""


class States(NamedTuple):
    """A layer's queries, keys and values of all tokens."""

    query: torch.Tensor
    """[1, heads, n, head size]."""
    key: torch.Tensor
    """[1, key heads, n, head size]; there may be fewer key heads than heads."""
    value: torch.Tensor
    """[1, key heads, n, head size]."""


class Attending(torch.nn.Module):
    """A Hugging Face model that attends by `attend` during its forward."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, tokens: torch.Tensor, **options: object) -> Any:  # noqa: ANN401 - as the model does
        """Return what the model returns for [1, n] tokens."""
        asked = False

        def attend(module: Any, *given: Any, **options: Any) -> tuple[torch.Tensor, None]:  # noqa: ANN401
            nonlocal asked
            asked = True
            return self.attend(module.layer_idx, States(*given[:3]), options), None

        with replace_attention(self.model, attend):
            answer = self.model(tokens, **options)
        if not asked:
            title = f"the attention of {type(self.model).__name__} can't be replaced"
            raise UsageError(title, "run it without the recheck: --recheck-context 0")
        return answer

    def attend(self, layer: int, states: States, options: dict[str, Any]) -> torch.Tensor:
        """Return [1, n, heads, head size]: the attention output of a layer, for all tokens."""
        raise NotImplementedError


@contextmanager
def replace_attention(model: torch.nn.Module, attend: Callable[..., object]) -> Iterator[None]:
    """Let every layer of `model` attend by `attend` inside the block.

    Layers read their own config, which need not be the model's: modules may be shared.
    """
    AttentionInterface.register(ATTENTION_NAME, attend)
    found: list[Any] = [getattr(module, "config", None) for module in model.modules()]
    configs = {id(one): one for one in found if hasattr(one, "_attn_implementation")}.values()
    before = [one._attn_implementation for one in configs]  # noqa: SLF001 - its own setter's name
    for one in configs:
        one._attn_implementation = ATTENTION_NAME  # noqa: SLF001
    try:
        yield
    finally:
        for one, kind in zip(configs, before, strict=True):
            one._attn_implementation = kind  # noqa: SLF001


class Windowed(Attending):
    """Attends as StreamingLLM does: each token sees the sinks and its own window.

    The cache rotates the sinks forward. Here the queries are rotated back to the sinks instead.
    """

    def __init__(
        self, model: torch.nn.Module, rotations: Sequence[Rotation], window: Window
    ) -> None:
        super().__init__(model)
        self.rotations = rotations
        self.window = window

    def attend(self, layer: int, states: States, options: dict[str, Any]) -> torch.Tensor:
        """Return [1, n, heads, head size]: the attention output of a layer, for all tokens."""
        query, key, value = states
        groups = query.shape[1] // key.shape[1]
        states = States(query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1))
        rotation = self.rotations[layer]
        rows = [
            self._attend_rows(start, rotation, states, options)
            for start in range(0, query.shape[2], QUERIES_AT_ONCE)
        ]
        return torch.cat(rows, 2).transpose(1, 2)

    def _attend_rows(
        self, start: int, rotation: Rotation, states: States, options: dict[str, Any]
    ) -> torch.Tensor:
        """Return [1, heads, rows, head size]: the attention output of the queries from `start`."""
        query, key, value = states
        sinks, end = self.window.sinks, min(start + QUERIES_AT_ONCE, query.shape[2])
        places = torch.arange(start, end, device=query.device)[:, None]  # [rows, 1]
        evicted = self.window.evicted_each(places)
        first = min(sinks + self.window.evicted(start), end)
        columns = torch.arange(first, end, device=query.device)
        sink_columns = torch.arange(min(sinks, end), device=query.device)
        near = options.get("sliding_window") or query.shape[2] + sinks
        seen = (columns >= sinks + evicted) & (columns <= places) & (places - columns < near)
        seen_sinks = (sink_columns <= places) & (places - evicted - sink_columns < near)
        asking = query[:, :, start:end].float()
        back = rotation.turn(asking, -evicted[:, 0])
        scores = torch.cat(
            [
                back @ key[:, :, : sink_columns.shape[0]].float().mT,
                asking @ key[:, :, first:end].float().mT,
            ],
            -1,
        )
        scores *= query.shape[-1] ** -0.5 if options.get("scaling") is None else options["scaling"]
        if options.get("softcap"):
            scores = options["softcap"] * (scores / options["softcap"]).tanh()
        scores = scores.masked_fill(~torch.cat([seen_sinks, seen], 1), -torch.inf)
        weights = _attention_weights(scores, options.get("s_aux"))
        values = torch.cat([value[:, :, : sink_columns.shape[0]], value[:, :, first:end]], 2)
        return (weights @ values.float()).to(value.dtype)


class Rounded(Windowed):
    """Attends to keys and values rounded as `QuantisedStore` holds them; nothing is evicted."""

    def __init__(self, model: torch.nn.Module) -> None:
        layers = model.config.get_text_config().num_hidden_layers  # type: ignore[operator,union-attr]
        still = Rotation(torch.zeros(1, device=next(model.parameters()).device), 0)
        super().__init__(model, [still] * layers, Window(sinks=0, recent=ENDLESS_WINDOW))

    def attend(self, layer: int, states: States, options: dict[str, Any]) -> torch.Tensor:
        """Return [1, n, heads, head size]: the attention output of a layer, for all tokens."""
        key, value = (
            dequantise(*quantise(each), each.dtype) for each in (states.key, states.value)
        )
        return super().attend(layer, States(states.query, key, value), options)


def _attention_weights(scores: torch.Tensor, sink_logits: torch.Tensor | None) -> torch.Tensor:
    """Return the softmax of [1, heads, rows, columns]; learned logits [heads] take a part of it."""
    if sink_logits is None:
        return scores.softmax(-1)
    extra = sink_logits.float().view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, extra], -1).softmax(-1)[..., :-1]
