"""Acceptance looks perfect because almost nothing is drafted.

Measures
    Drafted levels per round, against the depth asked for; share of rounds that drafted anything;
    acceptance of what was drafted; tokens per target forward.

Fires when
    Nine in ten reached drafts stand, and less than 0.6 are drafted per round, over 100 rounds that
    asked for some.

Why this is a cost and not a good draft
    A rate has no volume: with few drafts a round the target still runs for nearly every token, at
    whatever acceptance.

Likely causes
    A confidence bar too high; a lookup that seldom finds anything; a depth policy stuck at its
    floor.

Confirm
    A lower --confidence, or --depth-policy fixed: more tokens per target forward at a lower rate.

Does not see
    A bar only somewhat too high.

Try it
    specprof run --depth-policy confidence --confidence 0.99
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

ENOUGH = 100
HIGH = 0.9
FEW = 0.6


class TooLittleDrafted(Rule):
    """Two ratios."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at what the acceptance is of."""
        rounds = evidence.rounds.where((evidence.rounds.depth_asked > 0) & ~evidence.closes_burst)
        reached = int(rounds.reached_levels.sum())
        if len(rounds) < ENOUGH or not reached:
            raise MissingEvidence("too few rounds drafted to say", "record a longer run")
        volume = float(rounds.levels.mean())
        rate = float(rounds.accepted.sum()) / reached
        if volume >= FEW or rate < HIGH:
            return Clear(
                detectable=f"under {FEW} drafts a round at {HIGH:.0%} accepted; seen {volume:.1f} "
                f"at {rate:.0%}"
            )
        idle = float((rounds.drafted == 0).mean())
        forwards = max(int(rounds.target_forwards.sum()), 1)
        finding = Finding(
            message=f"{rate:.0%} of drafts stand, but {idle:.0%} of the rounds draft nothing",
            measures=(
                Measure(name="drafted levels per round", value=volume, n=len(rounds)),
                Measure(name="accepted per reached level", value=rate, n=reached),
                Measure(name="rounds without a draft per round that asked", value=idle),
                Measure(
                    name="tokens per target forward", value=float(rounds.emitted.sum()) / forwards
                ),
            ),
            remedy="lower the bar for going on drafting until a draft about as likely to fall as "
            "not is still made; judge by tokens per second, not by the rate",
            confirm=("specprof run --depth-policy fixed",),
            suspects=("perf/over-drafting-or-gating", "meas/rate-without-volume"),
        )
        return Found(finding=finding)
