"""The target is sampled without the top-p that was asked for, and the draft with it.

Seen in
    vllm-project/vllm#10198, mending #9834: the target was scored with default sampling parameters.

Breaks
    The accept step takes the target's law at the run's temperature alone.

Shows
    Corrections and bonuses outside the nucleus, which the law asked for gives no mass at all, and
    drafts turned down that the filtered law owes more.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Law
from specprof.faults._accept import Step, deciding
from specprof.settings import Value


class TargetNotFiltered(Fault):
    """Only the draft's law is cut."""

    settings: ClassVar[dict[str, Value]] = {"top_p": 0.8}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give the accept step a target whose law is the temperature's alone."""
        whole = ProcessedLaw(run.settings.temperature, 0, 1.0)
        return deciding(run, lambda _: Broken(whole).decide)


class Broken(Step):
    """Samples the target by a law of its own."""

    def __init__(self, whole: Law) -> None:
        self.whole = whole

    def target_law(self, law: Law) -> Law:
        """Return the law without filters."""
        del law
        return self.whole
