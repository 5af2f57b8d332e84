"""The draft's window made wider, to see whether what it has forgotten is missed.

Changes
    Over known text: the draft's sink-window cache holds four times as many tokens, then all.

Confirms
    A draft that is owed less because its window evicts what it needs.

Overturns
    Nothing.

Does not see
    A fault of the streaming cache's bookkeeping: both readings go without any cache.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH, Changes, measure, read
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

WIDER = 4
RECOVERY = 0.05


class WindowSweep(Probe):
    """Theory 7.4, row E."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read by windows of growing width; only where the draft streams."""
        settings = header.spec.settings
        streams = (settings.draft_cache or settings.cache) == "sink-window"
        if not streams or settings.context <= settings.window + settings.sinks:
            return []
        wider: Changes = {"draft_cache": "sink-window", "window": WIDER * settings.window}
        if settings.cache == "sink-window":  # the target's own window is not to change with it
            return read(header, {"draft_cache": "dense"})
        return read(header, wider, {"draft_cache": "dense"})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the places the narrow window had evicted tokens at."""
        narrow, *others = (run.columns for run in runs)
        settings = evidence.settings
        full = settings.window + settings.sinks
        gains = [overlap.overlap_gain(each, narrow, full) for each in others]
        best = max(gains, key=lambda each: each.value)
        if best.value < RECOVERY or best.low <= 0:
            return Clear(
                detectable=f"a wider view worth {RECOVERY:.0%} of overlap; the best is worth "
                f"{best.value:+.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the draft's window of {settings.window} tokens costs it "
                f"{100 * best.value:.1f} points of overlap: what it evicts is missed",
                measures=(
                    measure(
                        "overlap per place of text, own window", overlap.mean_overlap(narrow, full)
                    ),
                    *(
                        measure(f"overlap gained per place of text, {_seen(run)}", gain)
                        for run, gain in zip(runs[1:], gains, strict=True)
                    ),
                ),
                remedy="give the draft a wider window, or a shallower depth",
                suspects=("mismatch/tiny-streaming-draft",),
                headline=True,
            )
        )


def _seen(run: Evidence) -> str:
    settings = run.settings
    streams = (settings.draft_cache or settings.cache) == "sink-window"
    return f"window {settings.window:,}" if streams else "no window"
