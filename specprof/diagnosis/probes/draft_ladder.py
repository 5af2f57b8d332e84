"""Reads the same places with larger drafts, to see whether this draft is only too small.

Changes
    Over known text inside the draft's trained length: the draft, to the larger drafts of the
    embedded family, or to more of the target's own layers.

Confirms
    A draft that lacks capacity: a larger draft of its kind overlaps clearly more with the target
    at the same places.

Overturns
    Nothing.

Does not see
    Whether the larger draft pays: it costs more.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import measure, trained_length, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings, Value

POCKET_DRAFTS = ("pocket/draft-small", "pocket/draft")
"""Smaller to larger."""
MIN_GAIN = 0.05
DEFAULT_CONTEXT = 512
"""Where the draft's trained length is not known."""


class DraftLadder(Probe):
    """Theory 7.4, row G."""

    bears_on: ClassVar[frozenset[str]] = frozenset({"drafts-mismatched"})
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read with the capture's draft, then with every rung above it."""
        inside = min(header.spec.settings.context, trained_length(header) or DEFAULT_CONTEXT)
        rungs = _larger_drafts(header)
        return vary_reading(header, *rungs, context=inside) if rungs else []

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare each rung with the capture's draft, place by place; name the first that gains.

        The last rung of the target's own layers would agree nearly everywhere, and would cost
        nearly as much as the target.
        """
        del evidence
        own, *others = runs
        gains = [overlap.overlap_gain(each.columns, own.columns) for each in others]
        names = [_name(each.settings) for each in others]
        named = list(zip(names, gains, strict=True))
        clearly = [each for each in named if each[1].value >= MIN_GAIN and each[1].low > 0]
        if not clearly:
            name, gain = max(named, key=lambda each: each[1].value)
            return Clear(
                detectable=f"a larger draft that overlaps {MIN_GAIN:.0%} more; the best, {name}, "
                f"gains {gain.value:+.1%}"
            )
        name, gain = clearly[0]
        field = "exit_layer" if own.settings.drafter == "layer-skip" else "draft"
        return Found(
            finding=Finding(
                message=f"the larger draft, {name}, overlaps {100 * gain.value:.1f} points more "
                "with the target at the same places: this draft lacks capacity",
                measures=(
                    measure(
                        "overlap per place of text, this draft", overlap.mean_overlap(own.columns)
                    ),
                    *(measure(f"overlap gained per place of text, {n}", g) for n, g in named),
                ),
                remedy="compare this gain with the larger draft's time: "
                f"`specprof run --sweep {field}={_values(runs, field)}`",
                suspects=("mismatch/domain-or-language",),
                headline=True,
            )
        )


def _larger_drafts(header: Header) -> list[dict[str, Value]]:
    """Return the settings of every draft larger than the capture's own."""
    settings = header.spec.settings
    if settings.drafter == "layer-skip" and header.target and header.draft:
        layers, own = header.target.layers, header.draft.layers
        rungs = {(own + layers) // 2, layers - 1} - {own}
        return [{"exit_layer": each} for each in sorted(rungs) if own < each < layers]
    if settings.draft in POCKET_DRAFTS:
        above = POCKET_DRAFTS[POCKET_DRAFTS.index(settings.draft) + 1 :]
        return [{"draft": each} for each in above]
    return []


def _name(settings: Settings) -> str:
    if settings.drafter == "layer-skip":
        return f"the target's first {settings.exit_layer} layers"
    return str(settings.draft)


def _values(runs: Sequence[Evidence], field: str) -> str:
    """Return the values of a field as `--sweep` takes them; None, a default, has no value."""
    values = [getattr(run.settings, field) for run in runs]
    return ",".join(str(each) for each in values if each is not None)
