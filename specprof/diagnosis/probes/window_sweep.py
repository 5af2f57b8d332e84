"""Widens the draft's window, to see whether the draft needs the evicted tokens.

Changes
    Over known text: the draft's sink-window cache holds four times as many tokens, then all tokens.

Confirms
    A draft that overlaps less because its window evicts tokens it needs.

Overturns
    Nothing.

Does not see
    A fault of the streaming cache's bookkeeping: no reading uses a cache.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH_RULES, Changes, measure, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

WIDER_TIMES = 4
MIN_RECOVERY = 0.05


class WindowSweep(Probe):
    """Theory 7.4, row E."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH_RULES
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read with growing windows; none where the draft has no window."""
        settings = header.spec.settings
        streams = (settings.draft_cache or settings.cache) == "sink-window"
        if not streams or settings.context <= settings.window + settings.sinks:
            return []
        wider: Changes = {"draft_cache": "sink-window", "window": WIDER_TIMES * settings.window}
        if settings.cache == "sink-window":  # the target's own window must not change
            return vary_reading(header, {"draft_cache": "dense"})
        return vary_reading(header, wider, {"draft_cache": "dense"})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the overlaps at the places where the narrow window had evicted tokens."""
        narrow, *others = (run.columns for run in runs)
        settings = evidence.settings
        full = settings.window + settings.sinks
        gains = [overlap.overlap_gain(each, narrow, full) for each in others]
        best = max(gains, key=lambda each: each.value)
        if best.value < MIN_RECOVERY or best.low <= 0:
            return Clear(
                detectable=f"a wider window that gains {MIN_RECOVERY:.0%} of overlap; the best "
                f"gains {best.value:+.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the draft's window of {settings.window} tokens costs it "
                f"{100 * best.value:.1f} points of overlap: the draft needs the evicted tokens",
                measures=(
                    measure(
                        "overlap per place of text, own window", overlap.mean_overlap(narrow, full)
                    ),
                    *(
                        measure(f"overlap gained per place of text, {_say_window(run)}", gain)
                        for run, gain in zip(runs[1:], gains, strict=True)
                    ),
                ),
                remedy="give the draft a wider window, or a shallower depth",
                suspects=("mismatch/tiny-streaming-draft",),
                headline=True,
            )
        )


def _say_window(run: Evidence) -> str:
    settings = run.settings
    streams = (settings.draft_cache or settings.cache) == "sink-window"
    return f"window {settings.window:,}" if streams else "no window"
