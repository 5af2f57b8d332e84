"""A round does not commit its accepted drafts and exactly one more token.

Measures
    Rounds whose emitted tokens are not accepted + 1, split by whether all drafts were accepted;
    rounds that do not start where the round before them ended.

Fires when
    Any round inside a burst breaks emitted = accepted + 1 (theory I2), or any last round of a
    burst commits more than that or nothing. A stop may only shorten a burst's last round. A round
    that is undone may commit nothing: the next one verifies the same drafts again and commits them.
    In a loop of the user's own a last round may commit nothing: some drop the words they stop at.

Why this is a bug and not a mismatch
    The identity holds whatever the models think of each other: a rejection is followed by one
    correction, an all-accepted round by one bonus token.

Likely causes
    The bonus token is switched off or dropped (all-accepted rounds emit K: theory I10); the
    correction comes a round late; a stop is checked in the middle of a burst; tokens are counted
    before they are cut.

Confirm
    Record with the draft equal to the target: every round must then emit K + 1.

Does not see
    Wrong tokens in the right number: residual-unsupported sees those.

Try it
    specprof drill no-bonus
"""

from typing import ClassVar

import numpy as np

from specprof import limits
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Ints, first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class EmittedCountBroken(Rule):
    """Exact: one broken round is enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.BOOKKEEPING
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare each round's emitted tokens with accepted + 1."""
        rounds, last = evidence.rounds, evidence.closes_burst
        surplus = rounds.emitted - rounds.accepted - 1
        recorded = evidence.settings.backend == limits.RECORDED_BACKEND
        empty = (rounds.emitted < 1) & (not recorded)
        wrong = np.where(last, (surplus > 0) | empty, surplus != 0)
        wrong &= ~_are_undone(evidence)
        committed = rounds.context + rounds.emitted
        broken = wrong | (~last & (rounds.context[evidence.next_row] != committed))
        if not broken.any():
            return Clear(detectable=f"one broken round of {len(rounds):,}")
        first = int(broken.argmax())
        message, suspects = _explain(surplus[wrong], ~evidence.rejected[wrong])
        finding = Finding(
            message=message,
            measures=(
                Measure(
                    name="tokens emitted, first time",
                    value=float(rounds.emitted[first]),
                    unit="tokens",
                ),
                Measure(name="broken per round", value=float(broken.mean()), n=len(rounds)),
                Measure(name="tokens off per round", value=float(surplus[~last].mean())),
            ),
            remedy="commit every accepted draft, and then the correction or the bonus, in the "
            "round that decided them",
            confirm=("specprof run --draft <the target> --temperature 0",),
            rounds=first_rounds(rounds.index, broken),
            where=Where(
                round=int(rounds.index[first]),
                context=int(rounds.context[first]),
                event="with a rejection"
                if evidence.rejected[first]
                else "with all drafts accepted",
                used=float(rounds.emitted[first]),
                clean=float(rounds.accepted[first] + 1),
            ),
            suspects=suspects,
            headline=True,
        )
        return Found(finding=finding)


def _are_undone(evidence: Evidence) -> Bools:
    """Return which rounds commit nothing because the next one verifies the same again, [rounds].

    Where some are, or a capture is still being written, so may be a burst's last round: its replay
    was not recorded.
    """
    undone = evidence.replays.undone
    if not (evidence.live or undone.any()):
        return undone
    return np.asarray(undone | (evidence.closes_burst & (evidence.rounds.emitted == 0)))


def _explain(surplus: Ints, all_accepted: Bools) -> tuple[str, tuple[str, ...]]:
    """Return the message and the cases that fit, from the rounds with a wrong count."""
    late = "accept/correction-token-late-or-lost"
    if not len(surplus):
        return "a round does not start where the round before it ended", (late,)
    if all_accepted.all() and (surplus == -1).all():
        message = "the bonus token is missing: all-accepted rounds emit K tokens, not K + 1"
        return message, ("accept/bonus-token-disabled",)
    if not all_accepted.any() and (surplus == -1).all():
        missing = "the correction is missing: rounds with a rejection emit only the accepted drafts"
        return missing, (late,)
    message = "rounds do not commit their accepted drafts and exactly one more token"
    return message, (late,) if (surplus < 0).any() else ("stop/length-overshoot",)
