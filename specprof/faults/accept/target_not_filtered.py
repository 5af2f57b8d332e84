"""The target is sampled without the top-p of the settings, and the draft with it.

Seen in
    vllm-project/vllm#10198, mending #9834: the target was scored with default sampling parameters.

Breaks
    The accept step applies the run's temperature alone to the target's logits.

Shows
    Corrections and bonuses lie outside the nucleus, where the right distribution gives probability
    0. Drafts are rejected that the filtered distribution would accept more often.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Law
from specprof.faults._accept import Step, replace_decide
from specprof.settings import Value


class TargetNotFiltered(Fault):
    """Cuts only the draft's law."""

    settings: ClassVar[dict[str, Value]] = {"top_p": 0.8}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Sample each target at the run's temperature, without its other filters."""
        whole = ProcessedLaw(run.settings.temperature, 0, 1.0)
        return replace_decide(run, lambda _: BrokenStep(whole).decide)


class BrokenStep(Step):
    """Samples the target by the law it was made with."""

    def __init__(self, whole: Law) -> None:
        self.whole = whole

    def target_law(self, law: Law) -> Law:
        """Return the law without top-k and top-p."""
        del law
        return self.whole
