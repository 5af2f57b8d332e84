"""The capture says things that can't all be true.

Measures
    Rounds told more than once or out of order; counts of the end line and of bursts' ends against
    the rounds that stand there; what one round alone says of its burst, its start or its caches,
    against all around it; a lone committed id that can't be right; a lone round whose probabilities
    can't be right; an acceptance owed that its two probabilities deny; parts that last longer than
    the whole, and times that no clock can show.

Fires when
    Any two lines disagree so that no lost line could explain it. Verdicts that rest on the rounds
    become Unknown where counts disagree, and those that rest on times where times do.

Why this is the measurement and not the engine
    One recorder counts each round once and reads one clock. Whatever the engine does, these agree.

Likely causes
    Files glued together, sorted or edited; a copy that repeats a part; two writers in one file; a
    clock that was set back.

Confirm
    Record again, to a file of its own.

Does not see
    A file that was edited throughout, so that it agrees with itself. Two altered ids of committed
    tokens, or probabilities altered in two rounds: a wrong engine leaves the same. One such id or
    round in more than four rounds accuses no engine. If a new recording has one again, the engine
    left it.

Try it
    specprof run -o run.jsonl, then repeat one of its round lines by hand
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage


class CaptureContradictsItself(Rule):
    """Exact comparisons of lines with lines."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.CAPTURE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Say which lines disagree."""
        found, recorded = evidence.contradictions, len(evidence.columns.rounds)
        if not found:
            return Clear(detectable=f"one line that disagrees with others, of {recorded:,} rounds")
        withheld = "nothing that rests on " + " or ".join(dict.fromkeys(each.of for each in found))
        told = "; ".join(each.told for each in found)
        finding = Finding(
            message=f"the capture contradicts itself: {told}; {withheld} is judged",
            measures=(
                Measure(name="rounds recorded", value=recorded),
                Measure(name="contradictions", value=len(found)),
            ),
            remedy="record again; a capture that was edited or damaged is no evidence",
            rounds=found[0].rounds,
        )
        return Found(finding=finding)
