"""Above temperature 0 drafts are first choices, not draws, and are accepted as such.

Measures
    Whether each draft is the first choice of its law, where that law has others; by which rule the
    drafts are accepted.

Fires when
    All drafts are first choices, and they are accepted by equality with the target's own draw,
    declared or not; or, in chains, a drafter that has a law declares all mass on each of its
    drafts.

Why this is a configuration and not a bug
    Equality works with drafts of any origin, and rejection accepts a certain draft with its target
    probability: the text is the target's (theory 2.3, 2.4). Where the target is unsure, fewer
    drafts are accepted than if they were drawn at its temperature.

Likely causes
    A drafter that ignores the temperature, often on purpose: for equality a first choice is the
    better draft (z-lab/dflash#74, vllm #16899).

Confirm
    Run at temperature 0: the difference must vanish.

Does not see
    Trees, whose children are first choices by design; looked-up drafts. First choices that are
    judged as if they were drawn: draft-law-differs sees those.

Try it
    specprof drill draft/temperature-ignored
"""

from typing import ClassVar

from specprof.analysis import accept_laws
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage


class DraftsNotDrawn(Rule):
    """Exact: looks at ranks, and at the rule in force."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS

    def judge(self, evidence: Evidence) -> Outcome:
        """Look for draws among the drafts."""
        if evidence.greedy or evidence.columns.trees:
            title = "drafts need not be drawn in this run"
            raise MissingEvidence(title, "record a chain above temperature 0")
        places = evidence.places
        by_equality = evidence.ask(accept_laws.equality_in_force)
        chosen = by_equality and evidence.ask(accept_laws.are_drafts_picked)
        if not (chosen or _declares_certainty(evidence)):
            return Clear(detectable=f"only first choices among {len(places):,} drafts")
        stood = float(places.accepted.mean())
        finding = Finding(
            message=f"drafts are first choices, not draws, at temperature "
            f"{evidence.settings.temperature:g}: {stood:.1%} of them are accepted",
            measures=(
                Measure(name="accepted per reached token", value=stood, n=len(places)),
                Measure(
                    name="target probability per reached token",
                    value=float(places.target_prob.mean()),
                    n=len(places),
                ),
            ),
            remedy="draw the drafts at the target's temperature, give the accept step the law they "
            "are drawn from, and accept by rejection; near temperature 0 a first choice is the "
            "better draft",
            confirm=("specprof run --temperature 0",),
            suspects=("draft/temperature-ignored",),
            headline=True,
        )
        return Found(finding=finding)


def _declares_certainty(evidence: Evidence) -> bool:
    """Return whether a drafter that has a law declares all mass on each draft."""
    could = evidence.settings.backend == "native" and bool(evidence.has_distribution)
    return could and bool((evidence.places.draft_prob == 1).all())
