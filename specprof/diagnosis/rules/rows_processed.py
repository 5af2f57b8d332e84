"""The recorded rows are not raw, and it is not known how to read them.

Measures
    Recorded rounds whose rows rule ids out beside declared filters, where no model could be asked
    whether the filters did it; rows that are divided by the temperature where the others are not;
    rounds whose probabilities are negative or don't sum to 1.

Fires when
    There is one such round or row; of the last kind, as many rounds as half of all. Masks, filters,
    penalties, biases and temperatures that the recheck understands are no finding: laws are made of
    such rows as they are.

Why this is the measurement and not the engine
    A loop may decide rightly by rows that it hands over in another form than it says. Laws made of
    them would be wrong, whatever the loop did, so the tests of laws are withheld.

Likely causes
    Rows recorded behind the warpers in some places and before them in others; models given by their
    names, beside rows of -inf; laws that were filtered and not renormalised.

Confirm
    Record again, by raw rows (target_logits) or by the laws themselves (target_probs).

Does not see
    Rows divided by the temperature where no model can be asked: no row alone shows that. A loop
    that itself divides some rows and not others looks the same; the remedy tells both apart.

Try it
    Record the loop of plugins/recorded_loop.py with rows / temperature in every second round
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.rows import NO_LAW
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

LAW_RULES = frozenset(
    {
        "target-state-drifts",
        "draft-state-drifts",
        "another-accept-rule",
        "accept-rule-unfair",
        "drafts-not-drawn",
        "draft-law-differs",
        "final-law-differs",
        "output-law-differs",
        "output-not-greedy",
        "residual-unsupported",
    }
)
REMEDY = (
    "pass the raw logits of every row as target_logits and draft_logits, or the laws themselves as "
    "target_probs and draft_probs, each summing to 1; hand over the models and not their names, so "
    "that rows can be compared with recomputed ones"
)


class RowsProcessed(Rule):
    """Reads the marks of recorded rounds, and what the recheck found of their rows."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    undermines: ClassVar[bool] = True
    statistical: ClassVar[bool] = False
    silences: ClassVar[frozenset[str]] = LAW_RULES

    def judge(self, evidence: Evidence) -> Outcome:
        """Count the rounds and the rows that can't be read."""
        rounds = evidence.columns.rounds
        unknown = rounds.no_law == NO_LAW.index("processed")
        mixed = [each for _, each in evidence.columns.processed if each.misread]
        misread, compared = (
            sum(each.misread for each in mixed),
            sum(each.compared for each in mixed),
        )
        sums = rounds.no_law == NO_LAW.index("sum")
        lawless = int(sums.sum()) if 2 * sums.sum() >= len(rounds) else 0
        if not unknown.any() and not misread and not lawless:
            return Clear(detectable=f"one row in {len(rounds):,} rounds")
        rounds = evidence.rounds  # none where the capture contradicts itself
        parts = [
            f"rows of {int(unknown.sum()):,} rounds rule ids out, and nothing says whether the "
            "declared filters did it"
            if unknown.any()
            else "",
            f"{misread:,} of {compared:,} rows are not like the others: divided by the "
            "temperature or not, or without the processor that was declared"
            if misread
            else "",
            f"the probabilities of {lawless:,} of {len(rounds):,} rounds are negative or don't sum "
            "to 1"
            if lawless
            else "",
        ]
        finding = Finding(
            message=f"these rows are processed: {'; '.join(each for each in parts if each)}",
            measures=(
                Measure(name="rounds that can't be read", value=int(unknown.sum()), n=len(rounds)),
                Measure(name="rows that differ by the temperature", value=misread, n=compared),
                Measure(name="rounds without a law", value=int(sums.sum()), n=len(rounds)),
            ),
            remedy=REMEDY,
            rounds=first_rounds(rounds.index, unknown | sums),
        )
        return Found(finding=finding)
