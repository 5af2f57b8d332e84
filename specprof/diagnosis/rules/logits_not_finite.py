"""A model's logits were not finite, and the run ended there.

Measures
    How the run ended: the engine checks every row of logits before it draws from the row.

Fires when
    It ended by the error that a model's logits are not finite.

Why this is a configuration and not a bug of speculation
    No law can be made of a NaN, with or without speculation. A healthy model may return NaN in a
    data type too narrow for it, and a damaged model in any type.

Likely causes
    float16, whose largest number is 65,504; a damaged or half-loaded checkpoint; a row of attention
    in which everything is masked; a cache row that was never written.

Confirm
    Make the same run in float32; then decode the same text plainly (--drafter none).

Does not see
    Engines that go on: a NaN compares false with everything, so the draft is rejected, and token 0
    or an id outside the vocabulary takes its place (output-law-differs, token-outside-vocabulary).

Try it
    specprof run --dtype float16, on a checkpoint trained in bfloat16
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.errors import NOT_FINITE
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where


class LogitsNotFinite(Rule):
    """Reads the engine's own reason for the end of the run."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the capture's last line."""
        end, rounds = evidence.columns.end, evidence.columns.rounds
        if end is None:
            return Unknown(reason="how the run ends is not known yet")
        if NOT_FINITE not in (end.reason or ""):
            return Clear(detectable="one logit that is not finite, in any row that was drawn from")
        last = len(rounds) - 1
        finding = Finding(
            message=f"a model returned logits that are not finite: {end.reason}",
            measures=(Measure(name="rounds before it", value=end.rounds),),
            remedy="record in float32; check that the checkpoint is complete, and that no row of "
            "attention is wholly masked",
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
