"""Acceptance looks perfect because almost nothing is drafted.

Measures
    Drafted levels per round, against the depth asked for; share of rounds that drafted anything;
    acceptance of what was drafted; tokens per target forward.

Fires when
    Nine in ten reached drafts are accepted, and fewer than 0.6 are drafted per round, over at least
    100 rounds that asked for drafts.

Why this is a cost and not a good draft
    A rate does not show the volume: with few drafts a round, the target still runs for nearly every
    token, at any acceptance.

Likely causes
    A confidence threshold too high; a lookup that seldom finds anything; a depth policy stuck at
    its smallest K.

Confirm
    Run a lower --confidence, or --depth-policy fixed: expect more tokens per target forward at a
    lower rate.

Does not see
    A threshold that is only somewhat too high.

Try it
    specprof run --depth-policy confidence --confidence 0.99
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_ROUNDS = 100
MIN_ACCEPTED = 0.9
MAX_DRAFTS = 0.6
"""Levels per round."""


class TooLittleDrafted(Rule):
    """Compares acceptance with the number of drafts."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the number of drafts behind the acceptance."""
        rounds = evidence.rounds.where((evidence.rounds.depth_asked > 0) & ~evidence.closes_burst)
        reached = int(rounds.reached_levels.sum())
        if len(rounds) < MIN_ROUNDS or not reached:
            raise MissingEvidence("too few rounds asked for drafts", "record a longer run")
        volume = float(rounds.levels.mean())
        rate = float(rounds.accepted.sum()) / reached
        if volume >= MAX_DRAFTS or rate < MIN_ACCEPTED:
            return Clear(
                detectable=f"under {MAX_DRAFTS} drafts a round at {MIN_ACCEPTED:.0%} accepted; "
                f"seen {volume:.1f} at {rate:.0%} over {len(rounds):,} rounds"
            )
        idle = float((rounds.drafted == 0).mean())
        forwards = max(int(rounds.target_forwards.sum()), 1)
        finding = Finding(
            message=f"{rate:.0%} of drafts are accepted, but {idle:.0%} of the rounds draft "
            "nothing",
            measures=(
                Measure(
                    name="drafted levels per round", value=volume, n=len(rounds), counted="rounds"
                ),
                Measure(
                    name="accepted per reached level",
                    value=rate,
                    n=reached,
                    counted="reached levels",
                ),
                Measure(
                    name="rounds without a draft per round that asked",
                    value=idle,
                    n=len(rounds),
                    counted="rounds",
                ),
                Measure(
                    name="tokens per target forward",
                    value=float(rounds.emitted.sum()) / forwards,
                    n=forwards,
                    counted="forwards",
                ),
            ),
            remedy="lower the drafting threshold until drafts are made that are accepted about "
            "half the time; judge by tokens per second, not by the rate",
            confirm=("specprof run --depth-policy fixed",),
            suspects=("perf/over-drafting-or-gating", "meas/rate-without-volume"),
        )
        return Found(finding=finding)
