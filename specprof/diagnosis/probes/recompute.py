"""Recomputes every burst without a cache, at every depth.

Changes
    `recheck_context`, to the capture's own depth; nothing in the engine.

Confirms
    A wrong state that shows only beyond the depth that was rechecked.

Overturns
    A mismatch explained by the context's length, where the state goes wrong there.

Does not see
    Errors that run and recheck share: a wrong configuration, a wrong checkpoint.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import (
    MISMATCH_RULES,
    STATE_RULES,
    find_bug,
    quote_finding,
    vary,
)
from specprof.extend import Probe
from specprof.findings import Clear, Family, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings


class Recompute(Probe):
    """Makes the same run, rechecked to its end."""

    bears_on: ClassVar[frozenset[str]] = STATE_RULES | MISMATCH_RULES
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    corrects: ClassVar[frozenset[str]] = MISMATCH_RULES

    def runs(self, header: Header) -> list[Settings]:
        """Return the run rechecked to its end; none where the capture already was."""
        settings = header.spec.settings
        deepest = settings.context + settings.max_new_tokens
        if settings.recheck_context >= settings.context:
            return []
        return vary(header, {"recheck_context": deepest})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about the run, with every place rechecked."""
        del evidence
        (run,) = runs
        found = find_bug(run)
        if found:
            return quote_finding(found, "rechecked to its full depth")
        depth = int(run.pairs.context.max())
        return Clear(detectable=f"a wrong state at any depth up to context {depth:,}")
