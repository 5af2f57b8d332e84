"""The target runs more than one forward pass a round.

Measures
    Target forwards per drafting round: over all rounds, with a rejection, and without one.

Fires when
    Any round that drafted ran the target more than once (theory I3; f in theory 1.3).

Why this is a bug and not a mismatch
    One verify pass gives the answers for K drafts and for the token after them. A second pass costs
    a plain step a round, however good the draft is; with it a depth of 1 can never pay (theory
    5.3).

Likely causes
    The bonus or correction token is fed in a separate pass; a rejected round is replayed because
    the cache can't be rolled back; the verify pass is split.

Confirm
    Record with the draft equal to the target: extra passes that come with rejections vanish there.

Does not see
    A pass that the engine does not count. For that, compare verify time with a plain step.

Try it
    specprof drill two-target-forwards
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class ExtraTargetForwards(Rule):
    """Exact: one round with two passes is enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.BOOKKEEPING
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count target forwards, and say with which outcome there are too many."""
        rounds = evidence.speculative
        extra = rounds.target_forwards > 1
        if not extra.any():
            return Clear(detectable=f"one extra pass in {len(rounds):,} rounds")
        rejected = rounds.accepted < rounds.reached_levels
        when = "every round"
        if not extra.all():
            when = "rounds with a rejection" if not extra[~rejected].any() else "some rounds"
        forwards, first = float(rounds.target_forwards.mean()), int(extra.argmax())
        finding = Finding(
            message=f"the target runs {forwards:.2f} forward passes a round instead of one, "
            f"in {when}",
            measures=(
                Measure(name="target forwards per round", value=forwards, n=len(rounds)),
                Measure(
                    name="rounds with extra forwards per round",
                    value=float(extra.mean()),
                    n=len(rounds),
                ),
            ),
            remedy="take the correction or bonus from the logits of the verify pass, and feed it "
            "with the next round's drafts",
            confirm=("specprof run --draft <the target> --temperature 0",),
            rounds=first_rounds(rounds.index, extra),
            where=Where(
                round=int(rounds.index[first]),
                context=int(rounds.context[first]),
                event="with a rejection" if rejected[first] else "with all drafts accepted",
                used=float(rounds.target_forwards[first]),
                clean=1.0,
            ),
            suspects=("perf/two-target-forwards",),
            headline=True,
        )
        return Found(finding=finding)
