"""The depth policy went down to the least K after a handful of drafts, and never tried again.

Measures
    The round from which K asked for is 0, or 1, for good, the drafts that were reached before it,
    and the rounds that followed; how many of the single drafts stood.

Fires when
    A policy that adapts asks for nothing, or for one token although 60% of those stand, through
    the last 30 rounds or more, and at least half of all rounds, on fewer than 40 reached drafts.

Why this is a setting and not a bug
    Any K leaves the text as it is. But 40 draws tell a rate to 15 points at best, and one unlucky
    round tells nothing.

Likely causes
    A policy that decides on one round; a state carried over from another run or request.

Confirm
    A fixed depth over the same text: specprof run --depth-policy fixed.

Does not see
    A policy that was right on little evidence; one that settles at a small K above 1.

Try it
    specprof drill perf/adaptive-k-small-sample
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

LONG = 30
FEW = 40
WELL = 0.6
"""Accepted of the drafts reached at K = 1: more would have stood."""


class DraftingGivenUp(Rule):
    """Exact: counts of rounds and drafts."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.COST
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look for the last round that asked for more than the least."""
        rounds, policy = evidence.rounds, evidence.settings.depth_policy
        if policy == "fixed" or not evidence.settings.depth:
            return Unknown(reason="the depth is fixed: there is no policy to give up")
        least = int(rounds.depth_asked[-1])
        asked = np.flatnonzero(rounds.depth_asked != least)
        last = int(asked[-1]) if len(asked) else -1
        idle, reached = len(rounds) - last - 1, int(rounds.reached[: last + 1].sum())
        later = rounds.reached[last + 1 :].sum()
        stands = float(rounds.accepted[last + 1 :].sum() / later) if later else 1.0
        given_up = least <= 1 and stands >= WELL
        if not given_up or idle < max(LONG, len(rounds) / 2) or reached >= FEW:
            return Clear(
                detectable=f"{LONG} last rounds at K = 0, or at K = 1 with {WELL:.0%} accepted, on "
                f"fewer than {FEW} reached drafts"
            )
        finding = Finding(
            message=f"the policy {policy!r} asks for K = {least} from round {last + 1} to the end, "
            f"{idle} rounds, having seen {reached} reached drafts",
            measures=(
                Measure(name="last rounds at that K", value=idle, n=len(rounds)),
                Measure(name="reached drafts before", value=reached),
            ),
            remedy="decide on some dozens of reached drafts, forget slowly, try again now and "
            "then; start each run afresh",
            confirm=("specprof run --depth-policy fixed",),
            rounds=(last + 1,),
            suspects=("perf/adaptive-k-small-sample", "meas/state-carried-between-arms"),
        )
        return Found(finding=finding)
