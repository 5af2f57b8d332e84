"""There are too few rounds to estimate anything.

Measures
    Rounds recorded.

Fires when
    There are fewer than 30. Estimates and intervals then become Unknown; exact checks and
    always-valid tests stay valid.

Why this is the measurement and not the engine
    An interval from a block bootstrap of a few rounds is not reliable, and 30 rounds leave an
    acceptance rate uncertain by more than 10 points.

Likely causes
    A short smoke run; a run stopped early; long accepted runs that need few rounds.

Confirm
    Record longer: 384 reached places give a rate within 5 points.

Does not see
    Many rounds of one short text: rounds that resemble each other carry less evidence than their
    number suggests.

Try it
    specprof run --stops 1 --max-new-tokens 8
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_ROUNDS = 30


class TooFewRounds(Rule):
    """Exact: counts rounds."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    undermines: ClassVar[bool] = True
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count the rounds."""
        n = len(evidence.rounds)
        if n >= MIN_ROUNDS:
            return Clear(detectable=f"fewer than {MIN_ROUNDS} rounds; there are {n:,}")
        finding = Finding(
            message=f"{n} rounds are too few to estimate anything",
            measures=(Measure(name="rounds", value=n),),
            remedy="record more new tokens, or more stops",
            confirm=("specprof run --max-new-tokens 64",),
        )
        return Found(finding=finding)
