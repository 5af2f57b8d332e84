"""From some point on every drafted token is the same id, and none is accepted.

Measures
    The rounds with the longest contexts, as far back as all their drafted tokens are one id;
    whether drafts varied before.

Fires when
    Twenty or more rounds beyond some context drafted one id only, none of it was accepted, and
    rounds before that context drafted at least five ids.

Why this is a configuration and not a mismatch
    A weak draft still drafts different tokens after different words, or drafts one token from the
    start. A constant that begins at a length is a placeholder.

Likely causes
    The draft's maximal length is shorter than the target's: beyond it the engine submits a dummy id
    and verifies it anyway (vllm #58080).

Confirm
    Make the same run with a context below that length: the drafts must vary.

Does not see
    A constant that is accepted, in a text that repeats it; a draft that is constant throughout
    (weights not loaded).

Try it
    specprof drill pos/draft-length-gate-dummy-tokens
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import stream
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where

MIN_ROUNDS = 20
MIN_IDS_BEFORE = 5


class DraftsConstant(Rule):
    """A run of rounds with one id."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the drafted ids in the order of the context."""
        places = evidence.reached
        order = np.argsort(places.context, kind="stable")
        token, accepted = places.token[order], places.accepted[order]
        dummy = (token == token[-1]) & ~accepted
        count = stream.ending_run(dummy)
        before = len(np.unique(token[: len(token) - count]))
        start = places.take(order).round[len(token) - count :]
        n = len(np.unique(start))
        if n < MIN_ROUNDS or before < MIN_IDS_BEFORE:
            return Clear(detectable=f"{MIN_ROUNDS} rounds that draft one id beyond a context")
        first = int(order[len(token) - count])
        at = int(places.context[first])
        finding = Finding(
            message=f"from context {at:,} on every draft is the id {int(token[-1])}, and none "
            "is accepted",
            measures=(
                Measure(name="rounds with the constant", value=n),
                Measure(name="accepted per reached token there", value=0.0, n=count),
            ),
            remedy="give the draft the target's maximal length; or draft nothing beyond the "
            "draft's own length, and report that",
            confirm=(f"specprof run --context {at}",),
            rounds=first_rounds(start),
            where=Where(
                round=int(places.round[first]),
                context=at,
                index=int(places.index[first]),
                event="at a length limit of the draft's own",
            ),
            suspects=("pos/draft-length-gate-dummy-tokens",),
            headline=True,
        )
        return Found(finding=finding)
