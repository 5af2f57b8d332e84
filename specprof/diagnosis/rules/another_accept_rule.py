"""Drafts stand by another rule than the one declared, and the text is right all the same.

Measures
    How often drafts stood, against what rejection owes them and against what equality with the
    target's own draw owes them, its probability of the draft; whether drafts are drawn or picked.

Fires when
    Rejection is declared, its coins fail (accept-rule-unfair's test), equality explains the coins
    best and does not fail itself, and no committed token is one the target would not have drawn.
    Or drafts above temperature 0 have all the mass of their laws though the drafter has a law.

Why this is a configuration and not a bug
    A token drawn by the target is the target's token, whether a draft had guessed it or not
    (theory 2.4; lablup/mlxcel#992): only speed is lost, the sum of target * draft being less than
    the sum of minima. Drafts that are picked rather than drawn are owed just their target
    probability, and lose where the target is unsure.

Likely causes
    Sample-and-match verification; a drafter that ignores the temperature; drafts without
    probabilities, of which nothing else can be accepted.

Confirm
    Temperature 0: both rules are the same there, and the difference must vanish.

Does not see
    Trees beyond their eldest siblings; a rule between the two; runs too short to tell them apart.

Try it
    specprof run --acceptance exact-match --temperature 1
"""

from typing import ClassVar

from specprof.analysis import accept_laws, attribution
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome

PICKS_BY_DESIGN = frozenset({"ngram"})
"""Drafters without a law to draw from."""


class AnotherAcceptRule(Rule):
    """The declared coins fail, another rule's do not."""

    family: ClassVar[Family] = "configuration"
    row: ClassVar[float] = 5
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Hold the coins against both rules."""
        if evidence.header.acceptance != "rejection":
            title = f"the rule {evidence.header.acceptance!r} was declared"
            raise MissingEvidence(title, "only a run that declares rejection is looked at")
        if _one_hot(evidence):
            return Found(finding=_picked(evidence))
        coins = evidence.ask(attribution.coins)
        if not evidence.ask(accept_laws.by_equality):
            limit = f"a bias of {coins.trial.detectable:.1%} of {coins.trial.n:,} open places"
            return Clear(detectable=limit if coins.trial.n else "no place was open")
        return Found(finding=_equality(evidence, picked=evidence.ask(accept_laws.picked)))


def _one_hot(evidence: Evidence) -> bool:
    """Return whether a drafter that could draw declares all mass on each draft, in a chain."""
    settings, places = evidence.settings, evidence.places
    could = settings.shape == "chain" and settings.drafter not in PICKS_BY_DESIGN
    native = settings.backend == "native"
    return could and native and len(places) > 0 and bool((places.draft_prob == 1).all())


def _picked(evidence: Evidence) -> Finding:
    places = evidence.places
    return Finding(
        message=f"drafts are picked, not drawn, at temperature {evidence.settings.temperature:g}",
        measures=(
            Measure(
                name="owed per reached token", value=float(places.overlap.mean()), n=len(places)
            ),
        ),
        remedy="draft at the target's temperature and hand over the law drawn from, where the "
        "target is unsure; near temperature 0 a first choice is the better draft",
        confirm=("specprof run --temperature 0",),
        suspects=("draft/temperature-ignored",),
        headline=True,
    )


def _equality(evidence: Evidence, *, picked: bool) -> Finding:
    places = evidence.places
    stood, owed = float(places.accepted.mean()), float(places.overlap.mean())
    how = "drafts are their law's first choices and" if picked else "drafts"
    return Finding(
        message=f"{how} stand only where they equal a draw of the target's own: {stood:.1%} of "
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
        suspects=("draft/temperature-ignored" if picked else "accept/exact-match-rule",),
        headline=True,
    )
