"""A correction is a token the residual law gives no mass.

Measures
    Rejections whose correction has target <= draft probability; rejections whose correction is
    the rejected token itself, in a tree one of the siblings rejected there.

Fires when
    Any correction of a rejection-rule run is at least 0.1 % likelier to the draft than to the
    target, or any correction equals the token just rejected.

Why this is a bug and not a mismatch
    After a rejection the token is drawn from max(target - draft, 0): it must be likelier to the
    target (arXiv 2211.17192, section 2.3). The rejected token never is. Models may disagree as
    they like; corrections may not.

Likely causes
    The correction is drawn from the target's law unchanged, from the draft's, from a softmax over
    the residual, or from the row before or after.

Confirm
    Rates of acceptance barely move with this bug, the text's law does: compare long samples.

Does not see
    A residual with the right support and wrong proportions; corrections of other accept rules.

Try it
    specprof drill residual-not-subtracted
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Ints, Places
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome

SLACK = 1e-3
"""Ten times the rounding of two recorded probabilities' ratio."""


class ResidualUnsupported(Rule):
    """Exact: one unsupported correction is enough."""

    family: ClassVar[Family] = "bug"
    row: ClassVar[float] = 7
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at each correction's two probabilities, and at the token it replaced."""
        rounds = evidence.rounds
        if evidence.header.acceptance not in {"greedy", "rejection"}:
            title = f"the rule {evidence.header.acceptance!r} does not draw from the residual"
            raise MissingEvidence(title, "this check knows the rules greedy and rejection")
        if np.isnan(rounds.final_target_prob).all():
            hint = "record with --backend native and --detail evidence"
            raise MissingEvidence("no correction's probabilities were recorded", hint)
        # A draft that had to stand leaves no residual; its rejection is the accept rule's fault.
        whole = (rounds.emitted == rounds.accepted + 1) & ~_had_to_stand(evidence)
        again = whole & _again(evidence.reached, rounds.index, _last_tokens(evidence))
        unlikelier = whole & (rounds.final_target_prob < rounds.final_draft_prob * (1 - SLACK))
        unlikelier &= not evidence.greedy
        corrected = int((whole & evidence.rejected).sum())
        if not corrected:
            raise MissingEvidence("no correction was recorded", "record a longer run")
        wrong = unlikelier | again
        if not wrong.any():
            return Clear(detectable=f"one unsupported correction of {corrected:,}")
        finding = Finding(
            message=f"{wrong.sum() / corrected:.1%} of corrections are tokens the residual gives "
            "no mass",
            measures=(
                Measure(
                    name="unsupported per correction",
                    value=float(wrong.sum() / corrected),
                    n=corrected,
                ),
                Measure(
                    name="rejected token again per correction",
                    value=float(again.sum() / corrected),
                    n=corrected,
                ),
            ),
            remedy="draw the correction from max(target - draft, 0), renormalised, of the "
            "rejected place's own row",
            rounds=tuple(rounds.index[wrong][:5].tolist()),
            headline=True,
        )
        return Found(finding=finding)


def _had_to_stand(evidence: Evidence) -> Bools:
    """Return whether the round rejected a draft at least as likely to the target, [rounds]."""
    places = evidence.reached
    sure = places.where(~places.accepted & (places.accept_owed >= 1 - SLACK))
    return evidence.per_round(sure.round, np.ones(len(sure))) > 0


def _last_tokens(evidence: Evidence) -> Ints:
    """Return the last token each round emitted, [rounds]; -1 where it emitted none."""
    tokens, counts = evidence.columns.emitted.token, evidence.rounds.emitted
    last = tokens[(counts.cumsum() - 1).clip(min=0)] if len(tokens) else -np.ones_like(counts)
    return np.where(counts > 0, last, -1)


def _again(places: Places, rounds: Ints, last: Ints) -> Bools:
    """Return whether a round's last token is a draft its last level rejected, [rounds]."""
    failed = places.levels()
    failed = failed.where(~failed.accepted)
    final = np.full(len(rounds), -1)
    final[np.searchsorted(rounds, failed.round)] = failed.index
    row = np.searchsorted(rounds, places.round)
    same = (places.index == final[row]) & (places.token == last[row])
    return np.asarray(np.bincount(row[same], minlength=len(rounds)) > 0)
