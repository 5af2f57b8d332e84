"""Attention over two to eight new tokens uses a kernel that is slightly wrong.

Seen in
    ggml-org/llama.cpp#25618: a grouping meant for one query row is used on a verification.

Breaks
    In forwards of two to eight tokens the output of the target's attention layers has random errors
    of 3% of its size. Single tokens and prefill are right.

Shows
    The target's distribution is off by more than rounding, equally at every index of every round.
    It looks like near ties that flip, but it is far above the data type's rounding. Lengths and the
    draft are right. At temperature 0 too, where choices are close.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import target_of

ERROR_SHARE = 0.03
"""Size of the error, as a share of a row's root mean square."""
AFFECTED_WIDTHS = range(2, 9)
"""Tokens of a forward that takes the wrong kernel."""


class MultiTokenAttentionPath(Fault):
    """Breaks a kernel that no single step uses."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Add noise to each target's attention when it verifies."""
        return break_each_sequence(
            run, lambda lane: break_during(lane.loop.target, "feed", _add_noise(lane))
        )


def _add_noise(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    layers = [each for each in target_of(lane).model.modules() if hasattr(each, "layer_idx")]
    generator = torch.Generator(target_of(lane).device).manual_seed(0)

    def disturb(_: object, __: object, found: Any) -> Any:  # noqa: ANN401 - the layer's own type
        states, *rest = found if isinstance(found, tuple) else (found,)
        if states.shape[-2] in AFFECTED_WIDTHS:
            noise = torch.randn(states.shape, generator=generator, device=states.device)
            size = states.float().square().mean(-1, keepdim=True).sqrt() * ERROR_SHARE
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
