"""Whenever K changes, a graph is captured again.

Seen in
    am17an/llama.cpp#45 (after ggml-org/llama.cpp#28652); vllm-project/vllm#45084, #43114.

Breaks
    A verification waits if its width differs from the last verification's.

Shows
    Under an adaptive depth, rounds after a change of K are far slower than rounds with the same K
    as before.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import slow_feeds, verifying_decoder
from specprof.settings import Value

CAPTURE_MS = 60.0


class GraphResetByShape(Fault):
    """Keeps a single graph, the one of the last shape."""

    settings: ClassVar[dict[str, Value]] = {"depth_policy": "confidence", "depth": 6}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait whenever a target forward changes its width; single tokens have their own graph."""
        with ExitStack() as stack:
            stack.enter_context(slow_feeds(run, verifying_decoder, _make_capture_cost()))
            yield


def _make_capture_cost() -> Callable[[int], float]:
    last = [0]

    def cost_ms(width: int) -> float:
        if width in {1, last[0]}:
            return 0.0
        last[0] = width
        return CAPTURE_MS

    return cost_ms
