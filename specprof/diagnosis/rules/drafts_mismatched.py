"""The draft's law overlaps little with the target's, and nothing is broken.

Measures
    Mean overlap per reached drafted token inside the draft's trained context: the acceptance two
    correct implementations would owe. In a tree, per reached level, its tokens' overlaps summed.

Fires when
    Its 95% interval lies below 70%, and none of the tests for state, draft law and accept rule
    fires.

Why this is a mismatch and not a bug
    Overlap is one minus the total variation of the two laws (theory 2.1). With all three brackets
    of the attribution chain at 0, what is missing was never owed.

Likely causes
    A draft too small or trained on other text; another chat template; a language or a domain the
    draft has not seen; a low temperature, which sharpens small differences.

Confirm
    Another draft, or another text, at the same depth.

Does not see
    Runs under exact-match, which owes little to any draft of a target that is not sure itself.
    A wrong configuration that run and recheck share: RoPE scaling, template, tokenizer. Compare
    configurations for that.

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

LOW = 0.7
"""Chains of four drafts stand whole at most every fourth time below it."""
HOT = 1.2
"""Above this temperature the text wanders off what either model was trained on."""
LARGER = (
    "take a larger draft, or one distilled from this target on this kind of text; until then draft "
    "fewer tokens"
)
LOOKED_UP = "this text repeats itself too little to draft from: use a draft model, or draft less"


class DraftsMismatched(Rule):
    """An interval of the mean overlap."""

    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the overlap in range, once everything else is clean."""
        if evidence.header.acceptance == "exact-match":
            return Unknown(reason="exact-match owes a draft less than the two laws overlap")
        chain = evidence.ask(attribution.attribute)
        broken = [part.name for part in chain.brackets if (part.p_value or 0.0) <= evidence.alpha]
        if broken:
            return Unknown(reason=f"broken first: {', '.join(broken)}")
        overlap = _in_range(evidence)
        if overlap.high >= LOW:
            return Clear(
                detectable=f"a mean overlap below {LOW:.0%}; seen {overlap.value:.1%} in range"
            )
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
            remedy=LOOKED_UP if evidence.has_distribution is False else LARGER,
            confirm=("specprof run --draft <another model>",),
            suspects=_suspects(evidence),
            headline=True,
        )
        return Found(finding=finding)


def _suspects(evidence: Evidence) -> tuple[str, ...]:
    """Return what the settings make likeliest of the kinds of mismatch."""
    settings = evidence.settings
    if settings.draft_cache == "sink-window" != settings.cache:
        return ("mismatch/tiny-streaming-draft",)
    if settings.temperature > HOT:
        return "mismatch/temperature", "mismatch/domain-or-language"
    return "mismatch/domain-or-language", "mismatch/adapter-or-finetune"


def _in_range(evidence: Evidence) -> Estimate:
    levels, draft = evidence.places.levels(), evidence.header.draft
    inside = np.ones(len(levels), np.bool_)
    if draft is not None and draft.trained_context is not None:
        within = levels.context < draft.trained_context
        inside = within if within.any() else inside
    return place_share(levels.overlap[inside])
