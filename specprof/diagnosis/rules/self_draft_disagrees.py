"""A model that drafts for itself is not nearly always accepted.

Measures
    Mean overlap per reached drafted token where draft and target are the same model, over caches
    of the same kind, in chains.

Fires when
    The mean overlap is more than 2% below 1, or more than the data type's rounding may change a
    probability, where that is more than 2%.

Why this is a bug and not a mismatch
    Two equal models have equal laws (theory 2.11, S13): no mismatch is possible.

Likely causes
    The draft's cache, positions or masks; another data type or attention kernel for the draft;
    equality with an independent target draw as the accept rule, which owes the sum of squares.

Confirm
    Record with recheck_context of at least the context: the recheck names the wrong model.

Does not see
    Runs whose draft and target differ; trees; exact-match, which owes less to equal models. Errors
    of rollback: a draft of this kind is hardly ever rejected.

Try it
    specprof drill kv/draft-not-primed-by-chunked-prefill
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import ratio
from specprof.diagnosis.rules._causes import NO_NUMBERS, WRONG_STATE
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage
from specprof.settings import Settings


class SelfDraftDisagrees(Rule):
    """Exact, apart from rounding."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS | WRONG_STATE

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the overlap of a model with itself."""
        places = evidence.places
        if not _drafts_for_itself(evidence.settings):
            title = "draft and target are different models"
            raise MissingEvidence(title, "record a run with the draft equal to the target")
        if evidence.columns.trees or evidence.header.acceptance == "exact-match":
            title = "in a tree, or by exact-match, even equal models are owed rejections"
            raise MissingEvidence(title, "record a chain under greedy or rejection")
        slack = max(0.02, evidence.ask(attribution.noise).probability)
        overlap = ratio(places.overlap, np.ones(len(places)))
        if overlap.value >= 1 - slack:
            return Clear(detectable=f"a mean overlap below {1 - slack:.0%}")
        finding = Finding(
            message="the target drafts for itself, and its two laws overlap by only "
            f"{overlap.value:.1%}",
            measures=(
                Measure(
                    name="overlap per reached token",
                    value=overlap.value,
                    n=len(places),
                    low=overlap.low,
                    high=overlap.high,
                ),
            ),
            remedy="check the draft's cache, position ids, data type and attention kernel",
            confirm=("specprof run --draft <the target> --stops 1 --context 1024",),
            headline=True,
        )
        return Found(finding=finding)


def _drafts_for_itself(settings: Settings) -> bool:
    """Return whether the target drafts for itself, over the kind of cache it decodes with."""
    own = settings.drafter == "self"
    own |= settings.drafter == "draft-model" and settings.draft == settings.target
    return own and settings.draft_cache in {None, settings.cache}
