"""Fewer drafts stand than if the draft had always said the commonest token.

Measures
    accepted per reached token at draft index 0, against the commonest emitted token's share.

Fires when
    The interval of the first lies below the interval of the second (95 % each), with 100 places
    or more.

Why this is a configuration error and not a mismatch
    Any model of the language beats a constant. One that does not is not speaking the language:
    its tokens mean something else, or its weights are not the ones it was trained with (theory
    10.8).

Likely causes
    Another tokenizer or vocabulary order; weights not loaded, or loaded under other names; a
    wrong chat template; hidden states of another layer or shifted by one place.

Confirm
    Let the draft alone write a sentence: specprof run --target <the draft> --drafter none.

Does not see
    A broken draft that still beats the commonest token; drafts looked up in the text (ngram).

Try it
    specprof run --draft <a model of another tokenizer>
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Unknown

ENOUGH = 100


class WorseThanConstant(Rule):
    """Two intervals apart."""

    family: ClassVar[Family] = "configuration"
    row: ClassVar[float] = 9

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare acceptance at index 0 with the commonest token's share."""
        if evidence.settings.drafter == "ngram":
            return Unknown(reason="drafts looked up in the text come from no model")
        eldest = (evidence.reached.index == 0) & (evidence.reached.elder == 0)
        first = evidence.reached.accepted[eldest]
        tokens = evidence.columns.emitted.token
        if len(first) < ENOUGH:
            return Unknown(reason=f"{len(first)} first drafts; {ENOUGH} are needed")
        accepted = proportion(int(first.sum()), len(first))
        commonest = int(np.unique(tokens, return_counts=True)[1].max())
        constant = proportion(commonest, len(tokens))
        if accepted.high >= constant.low:
            return Clear(
                detectable=f"acceptance at index 0 below {constant.low:.1%}; "
                f"seen {accepted.value:.1%}"
            )
        finding = Finding(
            message=f"only {accepted.value:.1%} of first drafts stand; always drafting the "
            f"commonest token would give {constant.value:.1%}",
            measures=(
                Measure(
                    name="accepted per reached token at index 0",
                    value=accepted.value,
                    n=accepted.n,
                    low=accepted.low,
                    high=accepted.high,
                ),
                Measure(
                    name="commonest per emitted token",
                    value=constant.value,
                    n=constant.n,
                    low=constant.low,
                    high=constant.high,
                ),
            ),
            remedy="compare the two tokenizers id by id, and check that the draft's weights were "
            "all loaded",
            confirm=("specprof run --target <the draft> --drafter none",),
            headline=True,
        )
        return Found(finding=finding)
