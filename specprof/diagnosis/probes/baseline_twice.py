"""Decodes plainly and greedily twice, to see whether the baseline repeats itself.

Changes
    The drafter, to none, at temperature 0; this run is made twice.

Confirms
    That greedy output can be compared at all, and how often the capture's own differs.

Overturns
    Nothing: a token that is not the first choice of the row it was taken from is wrong, whether or
    not plain decoding repeats itself.

Does not see
    Which of two equal choices is right at a near tie.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Ints
from specprof.diagnosis.probes._runs import STATE_RULES, vary
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings


class BaselineTwice(Probe):
    """Measures the noise floor of greedy equality (meas/non-reproducible-baseline)."""

    bears_on: ClassVar[frozenset[str]] = STATE_RULES | {"output-not-greedy", "near-ties-flipped"}
    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.TARGET_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return plain greedy decoding twice; only beside a greedy capture."""
        settings = header.spec.settings
        if settings.temperature != 0 or settings.drafter == "none":
            return []
        plain = {"drafter": "none", "draft": None, "depth": 0, "stops": settings.stops}
        plain |= {"depth_policy": "fixed", "shape": "chain", "acceptance": "auto"}
        # The runs must differ in a setting, or the second would not be made.
        return vary(header, plain, plain | {"recheck_context": 0})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the emitted tokens, burst by burst."""
        first, second = (_texts(run) for run in runs)
        own = _texts(evidence)
        shared = first.keys() & second.keys()
        apart = sum(not np.array_equal(first[each], second[each]) for each in shared)
        shared &= own.keys()
        others = sum(not np.array_equal(own[each], first[each]) for each in shared)
        seen = f"{others} of {len(own)} bursts of the capture differ from plain decoding"
        if not apart:
            return Clear(detectable=f"one burst of {len(first)} that decodes otherwise; {seen}")
        return Found(
            finding=Finding(
                message=f"plain greedy decoding differs from itself in {apart} of {len(first)} "
                "bursts: no output can be compared with it",
                measures=(
                    Measure(name="differing per burst", value=apart / len(first), n=len(first)),
                ),
                remedy="look at the margins of the differing tokens, or decode in float32",
                suspects=("meas/non-reproducible-baseline",),
            )
        )


def _texts(run: Evidence) -> dict[int, Ints]:
    """Return the tokens of each burst: context at which it began -> tokens, [emitted]."""
    rounds, emitted = run.rounds, run.columns.emitted
    burst = rounds.burst[np.searchsorted(rounds.index, emitted.round)]
    began = {each: int(rounds.context[rounds.burst == each].min()) for each in np.unique(burst)}
    return {began[each]: emitted.token[burst == each] for each in began}
