"""Spans inside a forward: embedding, each layer with its attention and its MLP, last norm, head.

Only for the detail level `module`: a layer of a small model takes no longer than a few marks of a
clock, so timing slows it down. The shares can be trusted, the lengths can't. On a device that
queues its work, the work is timed where it runs, not where it is asked for.
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

TIMED_PHASES = ("draft", "verify")
"""Spans whose forwards are timed by part; a prefill has so many chunks that it would fill the
capture."""


class Inside:
    """Opens and closes spans by name while a round drafts or verifies."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self._spans: list[OpenSpan] = []

    def begin(self, name: str) -> None:
        """Open a span inside the one that is open."""
        if self.watch.outermost in TIMED_PHASES:
            span = self.watch.span(name)
            span.__enter__()
            self._spans.append(span)

    def end(self, name: str) -> None:
        """Close the span of that name and all spans within it; do nothing if there is none."""
        if any(span.name == name for span in self._spans):
            while True:
                span = self._spans.pop()
                span.__exit__(None, None, None)
                if span.name == name:
                    return


@contextmanager
def timing_modules(run: Run) -> Iterator[None]:
    """Time the parts of both models' forwards inside the block, if the detail is `module`."""
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
                    undo.enter_context(_timing_flat(each, inside))
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
        """Return what the part computes from its rows."""
        return self._timed(self.part, rows)

    def onto(self, base: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return `base` plus what the part, a projection, computes from its rows."""
        return self._timed(self.part.onto, base, rows)

    def _timed(self, work: Callable[..., torch.Tensor], *given: torch.Tensor) -> torch.Tensor:
        for name in self.begins:
            self.inside.begin(name)
        made = work(*given)
        for name in self.ends:
            self.inside.end(name)
        return made

    def __getattr__(self, name: str) -> object:
        """Return any other attribute of the part: its weights, its hooks."""
        return getattr(self.part, name)


@contextmanager
def _timing_flat(flat: Flat, inside: Inside) -> Iterator[None]:
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
    """Time the modules of a Hugging Face model that are not timed yet."""
    for name, module in _named_parts(model):
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


def _named_parts(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield the parts of a Hugging Face model by name; parts of an unknown kind are left out."""
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
