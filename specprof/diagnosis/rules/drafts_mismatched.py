"""The draft's law overlaps little with the target's, and nothing is broken.

Measures
    Mean overlap per reached drafted token inside the draft's trained context: the acceptance that
    two correct implementations would reach. In a tree, per reached level, the sum of its tokens'
    overlaps.

Fires when
    Its 95% interval lies below 70%, and none of the tests for state, draft law and accept rule
    fires.

Why this is a mismatch and not a bug
    Overlap is one minus the total variation of the two laws (theory 2.1). The attribution's
    brackets for state, draft law and accept rule are 0: the missing acceptance was never owed.

Likely causes
    A draft too small or trained on other text; another chat template; a language or a domain that
    the draft has not seen; a low temperature, which sharpens small differences.

Confirm
    Run another draft, or another text, at the same depth.

Does not see
    Runs under exact-match, which accepts few drafts of any model where the target is unsure.
    A wrong configuration that run and recheck share: RoPE scaling, template, tokenizer. Compare
    the two configurations for that.

Try it
    specprof drill mismatch/domain-or-language
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.acceptance import place_share
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

MIN_OVERLAP = 0.7
"""Below it, chains of four drafts are wholly accepted every fourth time at most."""
MAX_TEMPERATURE = 1.2
"""Above it, the text leaves the kind of text that either model was trained on."""
REMEDY_FOR_MODELS = (
    "take a larger draft, or one distilled from this target on this kind of text; until then draft "
    "fewer tokens"
)
REMEDY_FOR_LOOKUP = (
    "this text repeats itself too little to draft from: use a draft model, or draft less"
)


class DraftsMismatched(Rule):
    """An interval of the mean overlap."""

    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the overlap in range, once all tests for bugs are clear."""
        if evidence.header.acceptance == "exact-match":
            return Unknown(reason="under exact-match less is accepted than the two laws overlap")
        chain = evidence.ask(attribution.attribute)
        broken = [part.name for part in chain.brackets if (part.p_value or 0.0) <= evidence.alpha]
        if broken:
            return Unknown(reason=f"a test for bugs fires first: {', '.join(broken)}")
        overlap = _in_range(evidence)
        if overlap.high >= MIN_OVERLAP:
            least = f"a mean overlap below {MIN_OVERLAP:.0%}"
            return Clear(detectable=f"{least}; seen {overlap.value:.1%} in range")
        finding = Finding(
            message=f"draft and target overlap by only {overlap.value:.1%} on average",
            measures=(
                Measure(
                    name=f"overlap per {chain.counted}",
                    value=overlap.value,
                    n=overlap.n,
                    low=overlap.low,
                    high=overlap.high,
                ),
            ),
            remedy=REMEDY_FOR_LOOKUP if evidence.has_distribution is False else REMEDY_FOR_MODELS,
            confirm=("specprof run --draft <another model>",),
            suspects=_suspects(evidence),
            headline=True,
        )
        return Found(finding=finding)


def _suspects(evidence: Evidence) -> tuple[str, ...]:
    """Return the kinds of mismatch that the settings make likeliest."""
    settings = evidence.settings
    if settings.draft_cache == "sink-window" != settings.cache:
        return ("mismatch/tiny-streaming-draft",)
    if settings.temperature > MAX_TEMPERATURE:
        return "mismatch/temperature", "mismatch/domain-or-language"
    return "mismatch/domain-or-language", "mismatch/adapter-or-finetune"


def _in_range(evidence: Evidence) -> Estimate:
    levels, draft = evidence.places.levels(), evidence.header.draft
    inside = np.ones(len(levels), np.bool_)
    if draft is not None and draft.trained_context is not None:
        within = levels.context < draft.trained_context
        inside = within if within.any() else inside
    return place_share(levels.overlap[inside])
