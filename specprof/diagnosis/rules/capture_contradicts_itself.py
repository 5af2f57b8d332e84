"""The capture holds lines that can't all be true.

Measures
    Rounds recorded more than once or out of order; counts of the end line and of bursts' ends
    against the rounds that stand there; what one round alone says of its burst, its start or its
    caches, against all around it; a single committed id that can't be right; a single round whose
    probabilities can't be right; an acceptance owed that its two probabilities deny; parts that
    last longer than the whole, and times that no clock can show.

Fires when
    Any two lines disagree so that no lost line could explain it. Verdicts that rest on the rounds
    become Unknown where counts disagree, and verdicts that rest on times where times disagree.

Why this is the measurement and not the engine
    One recorder counts each round once and reads one clock. Its lines agree, whatever the engine
    does.

Likely causes
    Files joined, sorted or edited; a copy that repeats a part; two writers in one file; a clock
    that was set back.

Confirm
    Record again, to a new file.

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
        texts = "; ".join(each.told for each in found)
        finding = Finding(
            message=f"the capture contradicts itself: {texts}; {withheld} is judged",
            measures=(
                Measure(name="rounds recorded", value=recorded),
                Measure(name="contradictions", value=len(found)),
            ),
            remedy="record again: an edited or damaged capture proves nothing",
            rounds=found[0].rounds,
        )
        return Found(finding=finding)
