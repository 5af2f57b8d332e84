"""Rounds are slow when they draft another number of tokens than the round before.

Measures
    The verify pass of rounds whose width differs from the one before in the same burst, over that
    of rounds of the same width whose doesn't; and how seldom chance deals such a difference.

Fires when
    The difference is 30% of a pass or more, and a permutation over the rounds gives less than the
    error rate of one test. At least 8 rounds of either kind are needed at some width.

Why this is a cost and not a bug
    The answers are right; but the same work takes longer because the last was of another shape.

Likely causes
    A captured graph or a compiled kernel kept for one shape only; alternating shapes that share an
    identity in a cache.

Confirm
    A fixed depth: specprof run --depth-policy fixed.

Does not see
    A depth that never changes; a cost that falls on the draft's steps.

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

SLOWER = 0.3
ENOUGH = 8


class DepthChangeSlow(Rule):
    """A permutation test within widths."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare rounds of one width by what came before them."""
        relative, changed = _relative(evidence)
        extra = float(relative[changed].mean() - relative[~changed].mean())
        chance = block_permutation(relative, np.ones_like(relative), changed)
        if extra < SLOWER or chance > evidence.alpha:
            return Clear(detectable=f"{SLOWER:.0%} more where K changed; seen {extra:+.0%}")
        finding = Finding(
            message=f"a round that drafts another number of tokens than the last verifies "
            f"{extra:.0%} slower than one of the same width that doesn't",
            measures=(
                Measure(
                    name="verify time after a change of width, less without, per median",
                    value=extra,
                    n=len(relative),
                ),
                Measure(name="rounds after a change", value=float(changed.sum()), n=len(changed)),
                Measure(name="p", value=chance),
            ),
            remedy="keep a graph for each width, or pad every round to one; or fix the depth",
            confirm=("specprof run --depth-policy fixed",),
            suspects=("perf/graph-reset-by-shape",),
        )
        return Found(finding=finding)


def _relative(evidence: Evidence) -> tuple[Floats, Bools]:
    """Return verify times over their width's median, and which followed another width, [kept]."""
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
        those = follows & (width == each)
        if min((those & changed).sum(), (those & ~changed).sum()) < ENOUGH:
            continue
        median_ns = float(np.median(ns[those & ~changed]))
        if median_ns:  # else a clock too coarse to tell
            relative[those] = ns[those] / median_ns
            kept |= those
    if not kept.any():
        title = f"no width was verified {ENOUGH} times both after its like and after another"
        raise MissingEvidence(title, "record a run whose K varies, --depth-policy confidence")
    return relative[kept], changed[kept]
