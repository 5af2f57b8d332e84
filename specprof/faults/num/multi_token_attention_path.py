"""Attention over two to eight new tokens at once takes a kernel that is a little wrong.

Seen in
    ggml-org/llama.cpp#25618: a grouping meant for one query row is used on a verification.

Breaks
    What the target's attention layers answer in forwards of two to eight tokens is off at random,
    by 3% of its size. One token alone, and prefill, are right.

Shows
    The target's law strays by more than rounding, at every index of every round alike. It looks
    like near ties that flip, but it is far above what the data type does. Lengths are right, the
    draft is clean. At temperature 0 too, where choices are close.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.faults._during import during, in_each
from specprof.faults._miscount import target_of

SIZE = 0.03
"""Of the error, as a share of a row's root mean square."""
TOKENS = range(2, 9)


class MultiTokenAttentionPath(Fault):
    """A path that no single step takes."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Disturb each target's attention where it verifies."""
        return in_each(run, lambda lane: during(lane.loop.target, "feed", _noisy(lane)))


def _noisy(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    layers = [each for each in target_of(lane).model.modules() if hasattr(each, "layer_idx")]
    generator = torch.Generator(target_of(lane).device).manual_seed(0)

    def disturb(_: object, __: object, found: Any) -> Any:  # noqa: ANN401 - as the layer does
        states, *rest = found if isinstance(found, tuple) else (found,)
        if states.shape[-2] in TOKENS:
            noise = torch.randn(states.shape, generator=generator, device=states.device)
            size = states.float().square().mean(-1, keepdim=True).sqrt() * SIZE
            states = states + (noise * size).to(states.dtype)
        return (states, *rest) if isinstance(found, tuple) else states

    @contextmanager
    def noisy() -> Iterator[None]:
        hooks = [each.register_forward_hook(disturb) for each in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    return noisy
