"""The draft does worse than always guessing the commonest token, or than a table of tokens.

Measures
    Whether a round's first draft is accepted, against whether the token committed there is the
    commonest token committed so far: two drafts at the same places. And the nats of every committed
    token under the draft's law at temperature 1, against its nats under a table of the tokens
    committed so far, half of it spread evenly over the vocabulary.

Fires when
    The commonest token does better, or the table does, by an always-valid bet at 0.1% for the two.
    The table is asked only up to temperature 1: hotter text surprises every model.

Why this is a configuration error and not a mismatch
    Any model of the language beats a constant and a table of words. A model that does not either
    means something else by its tokens, or does not have the weights it was trained with (theory
    10.8). Even the weakest draft that works knows which words are common.

Likely causes
    Weights not loaded, or loaded under other names; another tokenizer or vocabulary order; a wrong
    chat template; hidden states of another layer or shifted by one place.

Confirm
    Let the draft alone write a sentence: specprof run --target <the draft> --drafter none.

Does not see
    A broken draft that still beats both; drafts looked up in the text (ngram). Text that is not
    the target's own, because the accept step or the target is broken: no draft can know it.

Try it
    specprof drill draft/weights-not-loaded
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import accept_laws
from specprof.analysis.context_free import Contest, against_commonest, against_table
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.rules._causes import WRONG_STATE, WRONG_TEXT
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

MAX_ABOVE_UNIFORM = 0.15
"""Nats a token above the logarithm of the vocabulary, as a share: random weights are that near."""
MIN_EXPECTED_DRAFTS = 20
"""Of ids above the largest drafted id, if they were drafted as often as they are committed."""


class WorseThanConstant(Rule):
    """Always-valid bets at the same places."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.CONFIGURATION
    explained_by: ClassVar[frozenset[str]] = WRONG_TEXT | WRONG_STATE

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the draft with the commonest token and with a table of tokens."""
        if evidence.has_distribution is None:
            drafter = evidence.settings.drafter
            return Unknown(
                reason=f"the drafter {drafter!r} is not installed here, so it may be no model"
            )
        if not evidence.has_distribution:
            return Unknown(reason="drafts are looked up in the text, and no model makes them")
        stands, knows = against_commonest(evidence), against_table(evidence)
        limit = evidence.alpha / 2
        lost = stands.loses(limit)
        if lost or (knows and knows.loses(limit)):
            astray = evidence.ask(accept_laws.why_text_strays)
            if astray:
                return Unknown(reason=f"the text is not the target's own, for {astray}")
            return Found(finding=_finding(evidence, stands, knows, lost=lost))
        return Clear(
            detectable="a first draft accepted "
            f"{stands.trial.detectable:.1%} less often than the commonest token would be; seen "
            f"{stands.draft:.1%} against {stands.constant:.1%}"
        )


def _finding(evidence: Evidence, stands: Contest, knows: Contest | None, *, lost: bool) -> Finding:
    message = (
        f"only {stands.draft:.1%} of first drafts are accepted; the commonest token so far, always "
        f"drafted, would reach {stands.constant:.1%}"
    )
    measures = [
        Measure(name="accepted per reached token at index 0", value=stands.draft, n=stands.trial.n),
        Measure(
            name="commonest so far per committed token there",
            value=stands.constant,
            n=stands.trial.n,
        ),
    ]
    if knows:
        if not lost:
            message = (
                f"the draft needs {knows.draft:.2f} nats a token for the text, and a mere table of "
                f"the tokens seen so far needs {knows.constant:.2f}"
            )
        for name, value in (("draft", knows.draft), ("table", knows.constant)):
            measures.append(
                Measure(
                    name=f"nats per committed token, {name}",
                    value=value,
                    unit="nats",
                    n=knows.trial.n,
                )
            )
    return Finding(
        message=message,
        measures=tuple(measures),
        remedy="compare the two tokenizers id by id, and check that the draft's weights were "
        "all loaded",
        confirm=("specprof run --target <the draft> --drafter none",),
        suspects=_suspects(evidence, knows),
        headline=True,
    )


def _is_capped(evidence: Evidence) -> bool:
    """Return whether no id above some number is ever drafted, though many are committed."""
    drafted, emitted = evidence.reached.token, evidence.columns.emitted.token
    beyond = float((emitted > drafted.max()).mean())
    return beyond * len(drafted) > MIN_EXPECTED_DRAFTS


def _suspects(evidence: Evidence, knows: Contest | None) -> tuple[str, ...]:
    target, draft = evidence.header.target, evidence.header.draft
    if _is_capped(evidence):
        return ("draft/d2t-map-missing",)
    if evidence.settings.drafter == "eagle":
        return "eagle/concat-order-or-norm-stage", "eagle/aux-layer-off-by-one"
    if target and draft and draft.vocabulary_sha not in {None, target.vocabulary_sha}:
        return "vocab/different-tokenizer", "draft/d2t-map-missing"
    weights, words = "draft/weights-not-loaded", "vocab/different-tokenizer"
    if knows is None or draft is None:
        return weights, words
    evenly = float(np.log(draft.vocabulary))
    if knows.draft <= (1 + MAX_ABOVE_UNIFORM) * evenly:
        return (weights,)
    return words, weights
