"""A burst commits more tokens than it was asked for.

Measures
    Tokens committed by each burst, against the limit of new tokens.

Fires when
    Any burst has more.

Why this is a bug and not a mismatch
    The limit is a number in the settings; what the models think of each other has no part in it.

Likely causes
    The depth is not cut to the tokens left, and the last round's tokens are not cut either; the
    tokens left are counted in rounds or from another start (transformers #46993).

Confirm
    Make any short run: the overshoot is at most the depth, in a burst's last round.

Does not see
    A burst that ends early; the limit of another engine, which its capture may not hold.

Try it
    specprof drill stop/length-overshoot
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class LimitOvershot(Rule):
    """Exact: one token too many is enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count each burst's tokens."""
        rounds, limit = evidence.rounds, evidence.settings.max_new_tokens
        if limit <= 0:
            raise MissingEvidence("no limit of new tokens was set", "set --max-new-tokens")
        bursts, place = np.unique(rounds.burst, return_inverse=True)
        counts = np.bincount(place, weights=rounds.emitted)
        over = counts > limit
        if not over.any():
            return Clear(detectable=f"one token beyond {limit:,} in one of {len(bursts):,} bursts")
        most = int((counts - limit).max())
        last = np.flatnonzero(over[place] & evidence.closes_burst)
        finding = Finding(
            message=f"{over.mean():.0%} of the bursts commit up to {most} tokens more than the "
            f"limit of {limit:,}",
            measures=(
                Measure(
                    name="bursts over the limit per burst",
                    value=float(over.mean()),
                    n=len(bursts),
                    counted="bursts",
                ),
                Measure(
                    name="most tokens over the limit", value=most, n=len(bursts), counted="bursts"
                ),
            ),
            remedy="draft at most one token less than the limit has left, and cut a round's tokens "
            "at the limit",
            confirm=("specprof run --stops 1 --max-new-tokens 8",),
            rounds=first_rounds(rounds.index, last),
            where=Where(
                round=int(rounds.index[last[0]]),
                context=int(rounds.context[last[0]]),
                event="in a burst's last round",
                used=float(counts[over][0]),
                clean=float(limit),
            ),
            suspects=("stop/length-overshoot",),
            headline=True,
        )
        return Found(finding=finding)
