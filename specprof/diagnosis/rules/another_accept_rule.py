"""Drafts are accepted by another rule than the one declared, and the text is still right.

Measures
    How often drafts were accepted, against the acceptance owed by rejection, and against the
    acceptance owed by equality with the target's own draw, which is the target's probability of
    the draft.

Fires when
    Rejection is declared; its test fails (that of accept-rule-unfair); equality explains the accept
    decisions best and does not fail itself; and the target could have drawn every committed token.

Why this is a configuration and not a bug
    A token drawn by the target is the target's token, whether a draft had guessed it or not
    (theory 2.4; lablup/mlxcel#992). Only speed is lost, because the sum of target * draft is less
    than the sum of minima.

Likely causes
    Sample-and-match verification; a draft whose probabilities are not kept, so that its tokens can
    only be compared with the target's draw.

Confirm
    Run at temperature 0: both rules are equal there, and the difference must vanish.

Does not see
    In a tree, siblings after the first; a rule between the two; runs too short to distinguish the
    rules; drafts that are no draws (drafts-not-drawn reports them).

Try it
    specprof drill accept/exact-match-rule
"""

from typing import ClassVar

from specprof.analysis import accept_laws, attribution
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown


class AnotherAcceptRule(Rule):
    """The declared rule's test fails, another rule's does not."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the accept decisions with both rules."""
        if evidence.header.acceptance != "rejection":
            title = f"the rule {evidence.header.acceptance!r} was declared"
            raise MissingEvidence(title, "this check only judges runs that declare rejection")
        coins = evidence.ask(attribution.coins)
        if not evidence.ask(accept_laws.by_equality):
            limit = f"a bias of {coins.trial.detectable:.1%} over {coins.trial.n:,} open places"
            return Clear(detectable=limit if coins.trial.n else "no place was open")
        if evidence.ask(accept_laws.are_drafts_picked):
            return Unknown(reason="drafts are no draws, and are accepted as often as owed")
        return Found(finding=_equality(evidence))


def _equality(evidence: Evidence) -> Finding:
    places = evidence.places
    stood, owed = float(places.accepted.mean()), float(places.overlap.mean())
    return Finding(
        message=f"drafts are accepted only where they equal the target's own draw: {stood:.1%} of "
        f"them, where rejection owes {owed:.1%}",
        measures=(
            Measure(name="accepted per reached token", value=stood, n=len(places)),
            Measure(name="owed by rejection per reached token", value=owed, n=len(places)),
            Measure(
                name="owed by equality per reached token",
                value=float(places.target_prob.mean()),
                n=len(places),
            ),
        ),
        remedy="nothing is wrong with the text; for more speed, draw drafts at the run's "
        "temperature and accept each with probability min(1, target / draft)",
        confirm=("specprof run --temperature 0",),
        suspects=("accept/exact-match-rule",),
        headline=True,
    )
