"""Reads other texts with the same pair, to see whether the text is the reason.

Changes
    Over known text: the text, to the held-out code of the embedded family, to English prose and to
    a few lines repeated. The pair stays as it is.

Confirms
    A draft that overlaps clearly more with the target on another natural text: the capture's text
    is not its domain.

Overturns
    Nothing.

Does not see
    Other kinds of text. The overlap on repeated lines is reported only: every draft copies well.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.diagnosis.probes._runs import MISMATCH_RULES, measure, trained_length, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

TEXTS = (None, "prose", "repetition")
"""None: the held-out code."""
REPEATED_TEXT = "repetition"
MIN_GAIN = 0.1
DEFAULT_CONTEXT = 512
"""Where the draft's trained length is not known."""


class RepetitionText(Probe):
    """Theory 7.4, row H."""

    bears_on: ClassVar[frozenset[str]] = (
        frozenset({"drafts-mismatched", "text-loops"}) | MISMATCH_RULES
    )
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the capture's text and the others, inside the draft's trained length."""
        inside = min(header.spec.settings.context, trained_length(header) or DEFAULT_CONTEXT)
        own = header.spec.settings.text
        others = [{"text": each, "dataset": None} for each in TEXTS if each != own]
        return vary_reading(header, *others, context=inside)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare mean overlaps by their intervals: the texts have different places."""
        del evidence
        own, *others = runs
        here = overlap.mean_overlap(own.columns)
        there = {_name(each.settings): overlap.mean_overlap(each.columns) for each in others}
        natural = {name: each for name, each in there.items() if name != REPEATED_TEXT}
        best = max(natural, key=lambda name: natural[name].value)
        measures = tuple(
            measure(f"overlap per place of text, {name}", each) for name, each in there.items()
        )
        if not _is_clearly_more(here, natural[best]):
            figures = ", ".join(f"{name} {each.value:.1%}" for name, each in there.items())
            return Clear(
                detectable=f"a text with {MIN_GAIN:.0%} more overlap; this text {here.value:.1%}, "
                f"{figures}"
            )
        return Found(
            finding=Finding(
                message=f"the pair overlaps by {here.value:.1%} on this text and by "
                f"{natural[best].value:.1%} on {best}: the text is not the draft's domain",
                measures=(measure("overlap per place of text, this one", here), *measures),
                remedy="use a draft trained on texts of this kind, or draft less on them",
                suspects=("mismatch/domain-or-language",),
                headline=True,
            )
        )


def _is_clearly_more(here: Estimate, there: Estimate) -> bool:
    return there.value - here.value >= MIN_GAIN and there.low > here.high


def _name(settings: Settings) -> str:
    return settings.text or "the held-out code"
