"""Drafts stand by another rule than the one declared, and the text is right all the same.

Measures
    How often drafts stood, against what rejection owes them and against what equality with the
    target's own draw owes them, its probability of the draft.

Fires when
    Rejection is declared, its coins fail (accept-rule-unfair's test), equality explains the coins
    best and does not fail itself, and no committed token is one the target would not have drawn.

Why this is a configuration and not a bug
    A token drawn by the target is the target's token, whether a draft had guessed it or not
    (theory 2.4; lablup/mlxcel#992): only speed is lost, the sum of target * draft being less than
    the sum of minima.

Likely causes
    Sample-and-match verification; drafts whose probabilities are not kept, so that nothing else can
    be done with them.

Confirm
    Temperature 0: both rules are the same there, and the difference must vanish.

Does not see
    Trees beyond their eldest siblings; a rule between the two; runs too short to tell them apart;
    drafts that are no draws, of which drafts-not-drawn speaks.

Try it
    specprof drill accept/exact-match-rule
"""

from typing import ClassVar

from specprof.analysis import accept_laws, attribution
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown


class AnotherAcceptRule(Rule):
    """The declared coins fail, another rule's do not."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Hold the coins against both rules."""
        if evidence.header.acceptance != "rejection":
            title = f"the rule {evidence.header.acceptance!r} was declared"
            raise MissingEvidence(title, "only a run that declares rejection is looked at")
        coins = evidence.ask(attribution.coins)
        if not evidence.ask(accept_laws.by_equality):
            limit = f"a bias of {coins.trial.detectable:.1%} of {coins.trial.n:,} open places"
            return Clear(detectable=limit if coins.trial.n else "no place was open")
        if evidence.ask(accept_laws.are_drafts_picked):
            return Unknown(reason="drafts are no draws, and stand as such are owed to")
        return Found(finding=_equality(evidence))


def _equality(evidence: Evidence) -> Finding:
    places = evidence.places
    stood, owed = float(places.accepted.mean()), float(places.overlap.mean())
    return Finding(
        message=f"drafts stand only where they equal a draw of the target's own: {stood:.1%} of "
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
        remedy="the text is the target's; for more speed draw the drafts at the run's temperature "
        "and accept each with probability min(1, target / draft)",
        confirm=("specprof run --temperature 0",),
        suspects=("accept/exact-match-rule",),
        headline=True,
    )
