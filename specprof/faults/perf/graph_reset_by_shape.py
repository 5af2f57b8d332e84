"""Whenever K changes a graph is captured anew.

Seen in
    am17an/llama.cpp#45 (after ggml-org/llama.cpp#28652); vllm-project/vllm#45084, #43114.

Breaks
    A verification waits if it is of another width than the one before.

Shows
    Under an adaptive depth the rounds after a change of K are far slower than those after none.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import feeding_slowly, target
from specprof.settings import Value

CAPTURE_MS = 60.0


class GraphResetByShape(Fault):
    """One graph is kept, of the last shape."""

    settings: ClassVar[dict[str, Value]] = {"depth_policy": "confidence", "depth": 6}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait for a graph of every new width of a target forward; decoding has its own."""
        with ExitStack() as stack:
            stack.enter_context(feeding_slowly(run, target, _capturing()))
            yield


def _capturing() -> Callable[[int], float]:
    last = [0]

    def cost_ms(width: int) -> float:
        if width in {1, last[0]}:
            return 0.0
        last[0] = width
        return CAPTURE_MS

    return cost_ms
