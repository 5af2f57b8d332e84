"""Rounds are slow when they draft another number of tokens than the round before.

Measures
    The verify time of rounds whose width differs from the width of the round before in the same
    burst, over that of rounds of equal width that follow their own width; and the probability of
    such a difference by chance.

Fires when
    The difference is 30% of a pass or more, and its probability under a permutation of the rounds
    is below the error rate of one test. At least 8 rounds of either kind are needed at some width.

Why this is a cost and not a bug
    The answers are right. But the same work takes longer because the last pass had another shape.

Likely causes
    A captured graph or a compiled kernel that is kept for one shape only; alternating shapes that
    share one entry of a cache.

Confirm
    Run with a fixed depth: specprof run --depth-policy fixed.

Does not see
    A depth that never changes; a cost in the draft's steps.

Try it
    specprof drill perf/graph-reset-by-shape
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import block_permutation
from specprof.analysis.tables import Bools, Floats
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_EXTRA = 0.3
"""Of a verify pass of equal width."""
MIN_ROUNDS = 8


class DepthChangeSlow(Rule):
    """A permutation test within widths."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare rounds of one width that follow another width with those that don't."""
        relative, changed = _relative_times(evidence)
        extra = float(relative[changed].mean() - relative[~changed].mean())
        chance = block_permutation(relative, np.ones_like(relative), changed)
        if extra < MIN_EXTRA or chance > evidence.alpha:
            more = f"verify passes {MIN_EXTRA:.0%} slower where K changed"
            return Clear(detectable=f"{more}; seen {extra:+.0%} over {len(relative):,} rounds")
        finding = Finding(
            message="a round that drafts another number of tokens than the round before verifies "
            f"{extra:.0%} slower than a round of equal width after an equal one",
            measures=(
                Measure(
                    name="verify time after a change of width, less without, per median",
                    value=extra,
                    n=len(relative),
                    counted="rounds",
                ),
                Measure(
                    name="rounds after a change",
                    value=float(changed.sum()),
                    n=len(changed),
                    counted="rounds",
                ),
                Measure(name="p", value=chance, n=len(relative), counted="rounds"),
            ),
            remedy="keep a graph for each width, or pad every round to one width, or fix the depth",
            confirm=("specprof run --depth-policy fixed",),
            suspects=("perf/graph-reset-by-shape",),
        )
        return Found(finding=finding)


def _relative_times(evidence: Evidence) -> tuple[Floats, Bools]:
    """Return verify times over their width's median, and which followed another width.

    Both are [rounds of widths with enough rounds of either kind].
    """
    rounds, columns = evidence.timed, evidence.columns
    if "verify" not in columns.spans:
        raise MissingEvidence("no verify span was recorded", "record with --detail rounds")
    order = columns.burst_order
    width, burst = rounds.drafted[order], rounds.burst[order]
    follows = np.concatenate([[False], burst[1:] == burst[:-1]]) & (width > 0)
    follows &= ~evidence.gap_before[order]
    changed = np.concatenate([[False], width[1:] != width[:-1]])
    ns = columns.spans["verify"][order].astype(float)
    relative, kept = np.zeros_like(ns), np.zeros(len(ns), bool)
    for each in np.unique(width[follows]):
        alike = follows & (width == each)
        if min((alike & changed).sum(), (alike & ~changed).sum()) < MIN_ROUNDS:
            continue
        median_ns = float(np.median(ns[alike & ~changed]))
        if median_ns:  # a coarse clock may read 0
            relative[alike] = ns[alike] / median_ns
            kept |= alike
    if not kept.any():
        title = f"no K was used {MIN_ROUNDS} times both after itself and after another K"
        raise MissingEvidence(title, "record a run whose K varies, --depth-policy confidence")
    return relative[kept], changed[kept]
