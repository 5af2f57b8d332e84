"""Larger drafts on the same places, to see whether this one is merely too small.

Changes
    Over known text inside the draft's trained length: the draft, to the embedded family's others,
    or to more and fewer of the target's own layers.

Confirms
    A draft that lacks capacity: a larger one of the kind is owed clearly more at the same places.

Overturns
    Nothing.

Does not see
    Whether the larger draft pays: it costs more.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import measure, read, trained
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings, Value

POCKET = ("pocket/draft-small", "pocket/draft")
"""Smaller to larger."""
GAIN = 0.05
RANGE = 512


class DraftLadder(Probe):
    """Theory 7.4, row G."""

    bears_on: ClassVar[frozenset[str]] = frozenset({"drafts-mismatched"})
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read with the capture's draft, then with every rung above it."""
        inside = min(header.spec.settings.context, trained(header) or RANGE)
        rungs = _above(header)
        return read(header, *rungs, context=inside) if rungs else []

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare each rung with the capture's draft, place by place; the first that gains is told.

        Of the target's own layers the last rung agrees nearly everywhere, and costs nearly as much.
        """
        del evidence
        own, *others = runs
        gains = [overlap.overlap_gain(each.columns, own.columns) for each in others]
        names = [_name(each.settings) for each in others]
        told = list(zip(names, gains, strict=True))
        clearly = [each for each in told if each[1].value >= GAIN and each[1].low > 0]
        if not clearly:
            name, gain = max(told, key=lambda each: each[1].value)
            return Clear(
                detectable=f"a larger draft owed {GAIN:.0%} more; the best, {name}, is owed "
                f"{gain.value:+.1%}"
            )
        name, gain = clearly[0]
        field = "exit_layer" if own.settings.drafter == "layer-skip" else "draft"
        return Found(
            finding=Finding(
                message=f"the larger draft, {name}, is owed {100 * gain.value:.1f} points more at "
                "the same places: this draft lacks capacity",
                measures=(
                    measure(
                        "overlap per place of text, this draft", overlap.mean_overlap(own.columns)
                    ),
                    *(measure(f"overlap gained per place of text, {n}", g) for n, g in told),
                ),
                remedy="weigh the larger draft's time against it: "
                f"`specprof run --sweep {field}={_values(runs, field)}`",
                suspects=("mismatch/domain-or-language",),
                headline=True,
            )
        )


def _above(header: Header) -> list[dict[str, Value]]:
    """Return the settings of every draft above the capture's own."""
    settings = header.spec.settings
    if settings.drafter == "layer-skip" and header.target and header.draft:
        layers, own = header.target.layers, header.draft.layers
        rungs = {(own + layers) // 2, layers - 1} - {own}
        return [{"exit_layer": each} for each in sorted(rungs) if own < each < layers]
    if settings.draft in POCKET:
        above = POCKET[POCKET.index(settings.draft) + 1 :]
        return [{"draft": each} for each in above]
    return []


def _name(settings: Settings) -> str:
    if settings.drafter == "layer-skip":
        return f"the target's first {settings.exit_layer} layers"
    return str(settings.draft)


def _values(runs: Sequence[Evidence], field: str) -> str:
    """Return what `--sweep` takes for these runs; a default that is None has no value to write."""
    values = [getattr(run.settings, field) for run in runs]
    return ",".join(str(each) for each in values if each is not None)
