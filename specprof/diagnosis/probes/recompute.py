"""Every burst recomputed without a cache, however deep.

Changes
    `recheck_context`, to the capture's own depth: nothing the engine does.

Confirms
    A wrong state that only shows beyond the depth that was rechecked.

Overturns
    A mismatch blamed on the context's length, where the state is what goes wrong there.

Does not see
    What both passes share: a wrong configuration, a wrong checkpoint.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH, STATE, accused, echoed, varied
from specprof.extend import Probe
from specprof.findings import Clear, Family, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings


class Recompute(Probe):
    """The same run, rechecked to its end."""

    bears_on: ClassVar[frozenset[str]] = STATE | MISMATCH
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    corrects: ClassVar[frozenset[str]] = MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the run with its recheck raised, unless it reached the end already."""
        settings = header.spec.settings
        deepest = settings.context + settings.max_new_tokens
        if settings.recheck_context >= settings.context:
            return []
        return varied(header, {"recheck_context": deepest})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about the run whose every place was rechecked."""
        del evidence
        (run,) = runs
        found = accused(run)
        if found:
            return echoed(found, "rechecked to its full depth")
        depth = int(run.pairs.context.max())
        return Clear(detectable=f"no state astray down to context {depth:,}")
