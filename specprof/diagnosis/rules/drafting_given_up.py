"""The depth policy went down to the smallest K after a few drafts, and never tried again.

Measures
    The round from which the policy asks for K = 0 or K = 1 to the end, the drafts that were reached
    before it, and the rounds that followed; how many of the single drafts were accepted.

Fires when
    A policy that adapts asks for no token, or for one token although 60% of those are accepted,
    through the last 30 rounds or more, and through at least half of all rounds, on the evidence of
    fewer than 40 reached drafts.

Why this is a setting and not a bug
    The text is the same at any K. But 40 draws measure a rate to within 15 points at best, and one
    unlucky round measures nothing.

Likely causes
    A policy that decides on one round; a state carried over from another run or request.

Confirm
    Run a fixed depth over the same text: specprof run --depth-policy fixed.

Does not see
    A policy that was right on little evidence; a policy that settles at a small K above 1.

Try it
    specprof drill perf/adaptive-k-small-sample
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

MIN_LAST_ROUNDS = 30
MIN_REACHED_DRAFTS = 40
MIN_ACCEPTED = 0.6
"""Of the drafts reached at K = 1: at this rate more drafts would have been accepted."""


class DraftingGivenUp(Rule):
    """Exact: counts of rounds and drafts."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.COST
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look for the last round that asked for another K than the run's last."""
        rounds, policy = evidence.rounds, evidence.settings.depth_policy
        if policy == "fixed" or not evidence.settings.depth:
            return Unknown(reason="the depth is fixed: there is no policy to give up")
        least = int(rounds.depth_asked[-1])
        asked = np.flatnonzero(rounds.depth_asked != least)
        last = int(asked[-1]) if len(asked) else -1
        idle, reached = len(rounds) - last - 1, int(rounds.reached[: last + 1].sum())
        later = rounds.reached[last + 1 :].sum()
        stands = float(rounds.accepted[last + 1 :].sum() / later) if later else 1.0
        given_up = least <= 1 and stands >= MIN_ACCEPTED
        enough = reached >= MIN_REACHED_DRAFTS
        if not given_up or idle < max(MIN_LAST_ROUNDS, len(rounds) / 2) or enough:
            return Clear(
                detectable=f"{MIN_LAST_ROUNDS} last rounds at K = 0, or at K = 1 with "
                f"{MIN_ACCEPTED:.0%} accepted, after fewer than {MIN_REACHED_DRAFTS} reached drafts"
            )
        finding = Finding(
            message=f"the policy {policy!r} asks for K = {least} from round {last + 1} to the end, "
            f"{idle} rounds, after only {reached} reached drafts",
            measures=(
                Measure(name="last rounds at that K", value=idle, n=len(rounds), counted="rounds"),
                Measure(name="reached drafts before", value=reached),
            ),
            remedy="decide on some dozens of reached drafts, forget slowly, and try a larger K "
            "again from time to time; start each run with a fresh policy",
            confirm=("specprof run --depth-policy fixed",),
            rounds=(last + 1,),
            suspects=("perf/adaptive-k-small-sample", "meas/state-carried-between-arms"),
        )
        return Found(finding=finding)
