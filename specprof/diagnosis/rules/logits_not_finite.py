"""A model answered with something that is no number, and the run ended there.

Measures
    How the run ended: the engine looks at every row of logits before it draws by it.

Fires when
    It ended by an error that says so of a model's logits.

Why this is a configuration and not a bug of speculation
    No law can be made of a NaN, whoever asks for it. A healthy model may say one in a data type
    too narrow for it, and a damaged one in any.

Likely causes
    float16, whose largest number is 65,504; a damaged or half-loaded checkpoint; attention over a
    row that sees nothing; a cache row that was never written.

Confirm
    The same run in float32; then plain decoding of the same text (--drafter none).

Does not see
    Engines that go on: a NaN compares false with everything, so that a draft falls and token 0, or
    an id outside the vocabulary, takes its place (output-law-differs, token-outside-vocabulary).

Try it
    specprof run --dtype float16, on a checkpoint trained in bfloat16
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.errors import NOT_FINITE
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where


class LogitsNotFinite(Rule):
    """What ended the run, as the engine told it."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the capture's last line."""
        end, rounds = evidence.columns.end, evidence.columns.rounds
        if end is None:
            return Unknown(reason="how the run ends is not known yet")
        if NOT_FINITE not in (end.reason or ""):
            return Clear(detectable="one number that is none, in any row that was drawn by")
        last = len(rounds) - 1
        finding = Finding(
            message=f"a law was due of something that is no number: {end.reason}",
            measures=(Measure(name="rounds before it", value=end.rounds),),
            remedy="record in float32; check that the checkpoint is whole, and that no row of "
            "attention is left without anything to see",
            confirm=("specprof run --dtype float32", "specprof run --drafter none"),
            rounds=tuple(rounds.index[last:].tolist()),
            where=None
            if last < 0
            else Where(
                round=int(rounds.index[last]),
                context=int(rounds.context[last] + rounds.emitted[last]),
                event="in the round after this one",
            ),
            suspects=("accept/nan-draft-row",),
            headline=True,
        )
        return Found(finding=finding)
