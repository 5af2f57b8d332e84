"""Every forward of the draft waits for the host to launch it, layer by layer.

Seen in
    vllm-project/vllm#47460, #23679: the draft never reached the captured graph.

Breaks
    Each draft forward waits a fixed time a layer, however little the layer has to do.

Shows
    A draft step takes as long as a target forward or longer, far above its share of the weights;
    acceptance and text are as they were.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import draft, feeding_slowly
from specprof.settings import Value

LAUNCH_MS = 12.0
"""A layer."""


class DraftEager(Fault):
    """Launches, not arithmetic."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait in every draft step."""
        layers = run.draft.facts.layers if run.draft else 1
        return feeding_slowly(run, draft, lambda _: LAUNCH_MS * layers)
