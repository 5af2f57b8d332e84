"""Every forward of the draft waits for the host to launch it, layer by layer.

Seen in
    vllm-project/vllm#47460, #23679: the draft never reached the captured graph.

Breaks
    Each draft forward waits a fixed time for each layer, however little the layer has to do.

Shows
    A draft step takes as long as a target forward or longer, far more than its share of the
    weights. Acceptance and text do not change.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import drafting_decoder, slow_feeds
from specprof.settings import Value

LAUNCH_MS_PER_LAYER = 12.0


class DraftEager(Fault):
    """Makes a draft step wait for launches."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait in every draft step."""
        layers = run.draft.facts.layers if run.draft else 1
        return slow_feeds(run, drafting_decoder, lambda _: LAUNCH_MS_PER_LAYER * layers)
