"""Other texts for the same pair, to see whether it is the text.

Changes
    Over known text: the text, to the held-out code of the embedded family, to English prose and to
    a few lines over and over. The pair is left as it is.

Confirms
    A draft that is owed clearly more on another text of natural kind: this one is not its domain.

Overturns
    Nothing.

Does not see
    Texts that are none of these. Repetition is only told: any draft copies well.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.diagnosis.probes._runs import MISMATCH, measure, read, trained
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

TEXTS = (None, "prose", "repetition")
"""None: the held-out code."""
REPEATED = "repetition"
GAIN = 0.1
RANGE = 512


class RepetitionText(Probe):
    """Theory 7.4, row H."""

    bears_on: ClassVar[frozenset[str]] = frozenset({"drafts-mismatched", "text-loops"}) | MISMATCH
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the capture's text and the others, inside the draft's trained length."""
        inside = min(header.spec.settings.context, trained(header) or RANGE)
        own = header.spec.settings.text
        others = [{"text": each, "dataset": None} for each in TEXTS if each != own]
        return read(header, *others, context=inside)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare mean overlaps, each with its interval: the places are others."""
        del evidence
        own, *others = runs
        here = overlap.mean_overlap(own.columns)
        there = {_name(each.settings): overlap.mean_overlap(each.columns) for each in others}
        natural = {name: each for name, each in there.items() if name != REPEATED}
        best = max(natural, key=lambda name: natural[name].value)
        told = tuple(
            measure(f"overlap per place of text, {name}", each) for name, each in there.items()
        )
        if not _apart(here, natural[best]):
            figures = ", ".join(f"{name} {each.value:.1%}" for name, each in there.items())
            return Clear(
                detectable=f"a text worth {GAIN:.0%} more; this one {here.value:.1%}, {figures}"
            )
        return Found(
            finding=Finding(
                message=f"the pair overlaps by {here.value:.1%} on this text and by "
                f"{natural[best].value:.1%} on {best}: the text is not the draft's domain",
                measures=(measure("overlap per place of text, this one", here), *told),
                remedy="use a draft trained on such texts, or draft less on them",
                suspects=("mismatch/domain-or-language",),
                headline=True,
            )
        )


def _apart(here: Estimate, there: Estimate) -> bool:
    return there.value - here.value >= GAIN and there.low > here.high


def _name(settings: Settings) -> str:
    return settings.text or "the held-out code"
