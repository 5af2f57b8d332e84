"""Spans inside a forward: embedding, each layer with its attention and its MLP, last norm, head.

For the detail level `module` alone: a small model's layer takes no longer than some marks of a
clock, so that what is timed is slowed down by being timed. Shares can be trusted, lengths can not.
On a device whose work is queued, all of it is measured where it runs and not where it is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from specprof.engine.decoder import CausalModel, innermost
from specprof.engine.flat.decoder import Flat
from specprof.engine.flat.parts import Block, ModelParts
from specprof.engine.instruments.stopwatch import OpenSpan, Stopwatch
from specprof.engine.patch import swapped
from specprof.engine.replay.model import ReplayedModel
from specprof.engine.run import Run

PHASES = ("draft", "verify")
"""Spans whose forwards are looked into; a prefill's chunks would fill the capture."""


class Inside:
    """Opens and closes spans by name, while a round drafts or verifies."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self._spans: list[OpenSpan] = []

    def begin(self, name: str) -> None:
        """Open a span, inside whatever span is open."""
        if self.watch.outermost in PHASES:
            span = self.watch.span(name)
            span.__enter__()
            self._spans.append(span)

    def end(self, name: str) -> None:
        """Close the span of that name, and any within it; none is no error."""
        if any(span.name == name for span in self._spans):
            while True:
                span = self._spans.pop()
                span.__exit__(None, None, None)
                if span.name == name:
                    return


@contextmanager
def looked_into(run: Run) -> Iterator[None]:
    """Time the parts of both models' forwards inside the block, if the run's detail asks for it."""
    with ExitStack() as undo:
        if run.settings.detail == "module":
            inside = Inside(run.loop.parts.watch)
            found = [innermost(each) for each in (run.loop.target, run.loop.drafter.draft)]
            models = [each for each in found if isinstance(each, CausalModel)]
            computing = {id(each.how.compute): each.how.compute for each in models}
            for model in found:
                if isinstance(model, ReplayedModel):  # a replay calls nothing that could be timed
                    undo.enter_context(swapped(model, eager=True))
            hooked = set[torch.nn.Module]()
            for each in sorted(computing.values(), key=lambda one: not isinstance(one, Flat)):
                if isinstance(each, Flat):
                    undo.enter_context(_flat(each, inside))
                    hooked |= {block.module for block in each.parts.blocks}
                elif isinstance(each, torch.nn.Module):
                    _hook(each, inside, undo, hooked)
        yield


@dataclass(frozen=True, slots=True)
class Timed:
    """A part of a flat decoder that opens spans before its work and closes spans after it."""

    part: Any
    inside: Inside
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what the part makes of its rows."""
        return self._timed(self.part, rows)

    def onto(self, base: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the same added to `base`, where the part is a projection."""
        return self._timed(self.part.onto, base, rows)

    def _timed(self, work: Callable[..., torch.Tensor], *given: torch.Tensor) -> torch.Tensor:
        for name in self.begins:
            self.inside.begin(name)
        made = work(*given)
        for name in self.ends:
            self.inside.end(name)
        return made

    def __getattr__(self, name: str) -> object:
        """Be the part in all else: weights, and who listens at it."""
        return getattr(self.part, name)


@contextmanager
def _flat(flat: Flat, inside: Inside) -> Iterator[None]:
    parts = flat.parts

    def whole(part: object, name: str) -> Any:  # noqa: ANN401 - it stands for any part
        return Timed(part, inside, (name,), (name,))

    flat.parts = ModelParts(
        embed=whole(parts.embed, "embed"),
        blocks=tuple(_block(each, inside, f"layer {n}") for n, each in enumerate(parts.blocks)),
        circles=parts.circles,
        norm=whole(parts.norm, "norm"),
        head=whole(parts.head, "head"),
    )
    try:
        yield
    finally:
        flat.parts = parts


def _block(block: Block, inside: Inside, layer: str) -> Block:
    """Return a layer that times itself, from its first norm to its last projection or norm."""

    def timed(part: object, *, begins: tuple[str, ...] = (), ends: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
        return Timed(part, inside, begins, ends)

    attended = "after_attention" if block.after_attention else "out_of_attention"
    fed = "after_mlp" if block.after_mlp else "out_of_mlp"
    changes = {
        "before_attention": timed(block.before_attention, begins=(layer, "attention")),
        attended: timed(getattr(block, attended), ends=("attention",)),
        "before_mlp": timed(block.before_mlp, begins=("mlp",)),
        fed: timed(getattr(block, fed), ends=("mlp", layer)),
    }
    return replace(block, **changes)


def _hook(
    model: torch.nn.Module, inside: Inside, undo: ExitStack, hooked: set[torch.nn.Module]
) -> None:
    """Time a Hugging Face model's modules, but those that are timed already."""
    for name, module in _anatomy(model):
        if module not in hooked:
            hooked.add(module)
            begin, end = _listeners(inside, name)
            undo.callback(module.register_forward_pre_hook(begin).remove)
            undo.callback(module.register_forward_hook(end).remove)


def _listeners(inside: Inside, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    def begin(*_: object) -> None:
        inside.begin(name)

    def end(*_: object) -> None:
        inside.end(name)

    return begin, end


def _anatomy(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield a Hugging Face model's parts by name; one that can't be told is left out."""
    whole = cast("Any", model)
    body: torch.nn.Module = getattr(model, whole.base_model_prefix, model)
    ends = {"embed": whole.get_input_embeddings(), "head": whole.get_output_embeddings()}
    yield from ((name, module) for name, module in ends.items() if module is not None)
    for name, child in body.named_children():
        if isinstance(child, torch.nn.ModuleList):
            for number, layer in enumerate(child):
                yield f"layer {number}", layer
                yield from _layer(layer)
        elif "norm" in name:
            yield "norm", child


def _layer(layer: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    for name, child in layer.named_children():
        kind = type(child).__name__.lower()
        if "attention" in kind and "norm" not in name:
            yield "attention", child
        elif "mlp" in kind or name in {"mlp", "feed_forward"}:
            yield "mlp", child
