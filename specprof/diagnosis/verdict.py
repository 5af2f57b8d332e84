"""What one rule or probe made of the evidence, and which verdicts are consequences of others.

One cause is one finding. A rule declares which more basic findings leave what it sees
(`Rule.explained_by`), and stands down where one of them is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from specprof.decision_table import PLACE_WITHOUT_STAGE
from specprof.findings import Explained, Family, Finding, Found, Model, Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule made of the evidence."""

    rule: str
    family: Family
    outcome: Outcome
    place: float = PLACE_WITHOUT_STAGE
    """Place in the decision table: of several findings, the one with the lowest place leads."""
    undermines: bool = False
    """As `Rule.undermines`."""
    undermines_times: bool = False
    """As `Rule.undermines_times`."""
    explained_by: frozenset[str] = frozenset()
    """As `Rule.explained_by`."""
    rests_on: Model | None = None
    """As `Rule.rests_on`."""
    probe: bool = False
    """Whether a probe gave the verdict, not a rule: it then rests on further runs."""

    @property
    def finding(self) -> Finding | None:
        """The finding, where the rule fired and no other finding explains it."""
        return self.outcome.finding if isinstance(self.outcome, Found) else None

    @property
    def consequence(self) -> Finding | None:
        """What the rule saw, where another finding explains it."""
        return self.outcome.finding if isinstance(self.outcome, Explained) else None

    @property
    def cause(self) -> str | None:
        """The rule whose finding explains what this rule saw; None where none does."""
        return self.outcome.by if isinstance(self.outcome, Explained) else None


def stand_down(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts, with each consequence explained by the most basic finding of its causes.

    A consequence whose cause was withdrawn since then is a finding again.
    """
    fired = [_restore(each) for each in verdicts]
    basic = list[Verdict]()
    for each in sorted(fired, key=lambda each: each.place):
        basic.append(_explain(each, basic))
    judged = {(each.rule, each.probe): each for each in basic}
    return [judged[each.rule, each.probe] for each in fired]


def _restore(verdict: Verdict) -> Verdict:
    seen = verdict.consequence
    return verdict if seen is None else replace(verdict, outcome=Found(finding=seen))


def _explain(verdict: Verdict, basic: Sequence[Verdict]) -> Verdict:
    """Return a verdict as it stands beside those of earlier places."""
    seen = verdict.finding
    if seen is None:
        return verdict
    for each in basic:
        cause = each.finding or each.consequence
        if each.rule in verdict.explained_by and cause and _is_about(cause, verdict.rests_on):
            return replace(verdict, outcome=Explained(by=each.cause or each.rule, finding=seen))
    return verdict


def _is_about(cause: Finding, model: Model | None) -> bool:
    """Return whether a finding is about this model's state, or one of the two names no model."""
    return None in {cause.model, model} or cause.model == model
