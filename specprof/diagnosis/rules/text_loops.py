"""The emitted text repeats itself, and any draft can follow a loop.

Measures
    Share of emitted tokens inside a loop: for a period of up to 256 tokens, a run of at least three
    periods and at least 48 tokens in which each token equals the token one period before (theory
    9.1).

Fires when
    It exceeds 20%. Acceptance and speed then say nothing about this pair of models, and verdicts
    that rest on them become Unknown.

Why this is the measurement and not the engine
    Small models fall into loops under greedy decoding past their end of text (arXiv 2206.02369).
    In a loop acceptance goes to 1 for every draft, even n-grams.

Likely causes
    End-of-text ignored; greedy decoding of a small base model; a context full of one sentence; a
    target beyond its trained range.

Confirm
    Run another prompt, a temperature above 0, or short bursts at many depths.

Does not see
    Loops in bursts shorter than 64 tokens; paraphrase; loops of a period beyond 256.

Try it
    specprof drill looping-text
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.text_health import SHORTEST_RUN, looping_frac
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MAX_LOOPING = 0.2
"""Of the emitted tokens."""


class TextLoops(Rule):
    """A share of tokens."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    undermines: ClassVar[bool] = True
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look for loops in every burst's tokens."""
        _ = evidence.rounds  # raises where rounds were recorded twice
        share, n = looping_frac(evidence.columns)
        if not n:
            raise MissingEvidence("no tokens were recorded", "record with --detail rounds")
        if share <= MAX_LOOPING:
            return Clear(
                detectable=f"loops of {SHORTEST_RUN} tokens in {MAX_LOOPING:.0%} of {n:,} tokens"
            )
        finding = Finding(
            message=f"{share:.0%} of the emitted tokens are in loops",
            measures=(
                Measure(name="looping per emitted token", value=share, n=n, counted="tokens"),
            ),
            remedy="change the prompt, sample at a temperature above 0, or let the text end",
            confirm=("specprof run --temperature 1",),
            suspects=("meas/degenerate-repetition",),
        )
        return Found(finding=finding)
