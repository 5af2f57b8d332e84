"""A model's logits were not finite where the engine decided by them.

Measures
    How the run ended: specprof's engine checks every row of logits before it draws from the row. In
    a recording of another engine: the rounds whose rows hold NaN or infinity, or rule every id out.

Fires when
    The run ended by the error that a model's logits are not finite, or a round was decided by such
    rows.

Why this is a bug and not a mismatch
    No law can be made of a NaN, with or without speculation, so no draft is to blame for what
    follows. The bug need not be one of the speculative loop: a healthy model may return NaN in a
    data type too narrow for it, and a damaged model in any type.

Likely causes
    float16, whose largest number is 65,504; a damaged or half-loaded checkpoint; a row of attention
    in which everything is masked; a cache row that was never written; a mask that leaves no id.

Confirm
    Make the same run in float32; then decode the same text plainly (--drafter none).

Does not see
    Rows that a recording was not given: a NaN compares false with everything, so the draft is
    rejected, and token 0 or an id outside the vocabulary takes its place (output-law-differs,
    token-outside-vocabulary). Rows behind the first rejection, by which nothing was decided.

Try it
    specprof run --dtype float16, on a checkpoint trained in bfloat16
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.rows import NO_LAW
from specprof.analysis.tables import Bools, Rounds, first_rounds
from specprof.errors import NOT_FINITE
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where

REMEDY = (
    "record in float32; check that the checkpoint is complete, that no row of attention is wholly "
    "masked, and that no cache row is read before it is written"
)
CONFIRM = ("specprof run --dtype float32", "specprof run --drafter none")
TARGET, DRAFT = NO_LAW.index("target"), NO_LAW.index("draft")


class LogitsNotFinite(Rule):
    """Reads the engine's own reason for the end of the run, and the marks of recorded rounds."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the capture's last line, and at every round."""
        end, rounds = evidence.columns.end, evidence.columns.rounds
        if ((rounds.no_law == TARGET) | (rounds.no_law == DRAFT)).any():
            return Found(finding=_decided_by_nan(evidence.rounds))
        if end is None:
            return Unknown(reason="how the run ends is not known yet")
        if NOT_FINITE not in (end.reason or ""):
            return Clear(detectable="one logit that is not finite, in any row that was drawn from")
        last = len(rounds) - 1
        finding = Finding(
            message=f"a model returned logits that are not finite: {end.reason}",
            measures=(Measure(name="rounds before it", value=end.rounds),),
            remedy=REMEDY,
            confirm=CONFIRM,
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


def _decided_by_nan(rounds: Rounds) -> Finding:
    """Say whose logits were no numbers, in how many rounds, and from when on."""
    whose = TARGET if (rounds.no_law == TARGET).any() else DRAFT
    wrong = rounds.no_law == whose
    first = int(wrong.argmax())
    model = "target" if whose == TARGET else "draft"
    return Finding(
        message=f"the {model}'s {NOT_FINITE} or infinity, or rule every id out, "
        f"{_say_when(rounds, wrong, first)}: what was committed there follows from no law",
        measures=(
            Measure(name="rounds decided by no numbers", value=int(wrong.sum()), n=len(rounds)),
        ),
        remedy=REMEDY,
        confirm=CONFIRM,
        rounds=first_rounds(rounds.index, wrong),
        where=Where(
            round=int(rounds.index[first]),
            context=int(rounds.context[first]),
            event=_say_when(rounds, wrong, first),
        ),
        suspects=("accept/nan-draft-row",) if whose == DRAFT else (),
        headline=True,
    )


def _say_when(rounds: Rounds, wrong: Bools, first: int) -> str:
    """Say from when on rounds are wrong, or in how many they are."""
    burst, index = int(rounds.burst[first]), int(rounds.index[first])
    opens = not (rounds.burst[:first] == burst).any()
    if wrong.all():
        return "in every round"
    if wrong[first:].all():
        start = f"burst {burst:,} on" if opens else f"round {index:,} on, in burst {burst:,},"
        return f"in every round from {start}"
    start = f"first in round {index:,} of burst {burst:,}"
    return f"in {int(wrong.sum()):,} of {len(wrong):,} rounds, {start}"
