"""The target runs more than one forward pass for what a round commits.

Measures
    Target forwards per round that commits, over the rounds that drafted: second forwards of one
    round, and rounds that are undone and verified again by the next. Where times were recorded, the
    milliseconds that these take.

Fires when
    Any round that drafted ran the target more than once, or any round was undone (theory I3; f in
    theory 1.3).

Why this is a cost and not a bug
    The text stays the same. But a second pass costs a plain step: with one in every round, a depth
    of 1 can never pay (theory 5.3). One verify pass gives the answers for K drafts and for the
    token after them.

Likely causes
    In every round: the last committed token, the bonus or the correction is fed in a pass of its
    own; the verify pass is split. After rejections: the cache can't be cut, so what was accepted is
    replayed from a checkpoint.

Confirm
    Record with the draft equal to the target: passes that come with rejections vanish there.

Does not see
    A pass that the engine does not count. For that, compare verify time with a plain step.

Try it
    specprof drill two-target-forwards
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.extra_forwards import ExtraForwards, extra_forwards
from specprof.analysis.tables import Bools, first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class ExtraTargetForwards(Rule):
    """Exact: one round with two passes is enough."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count target forwards, and say in which rounds there are too many."""
        extra = evidence.ask(extra_forwards)
        if not extra.either.any():
            return Clear(detectable=f"one extra pass in {len(extra.rounds):,} rounds")
        return Found(finding=_finding(extra))


def _finding(extra: ExtraForwards) -> Finding:
    rounds, either = extra.rounds, extra.either
    first, rejected = int(either.argmax()), rounds.accepted < rounds.reached_levels
    time = "" if extra.ms is None else f", which takes {extra.ms:.3g} ms a round"
    measures = [
        Measure(name="target forwards per round", value=extra.per_round, n=extra.committing),
        Measure(
            name="rounds with extra forwards per round", value=float(either.mean()), n=len(rounds)
        ),
    ]
    if extra.ms is not None:
        measures.append(
            Measure(name="extra time per round", value=extra.ms, unit="ms", n=extra.committing)
        )
    return Finding(
        message=f"the target runs {extra.per_round:.2f} forward passes a round instead of one: "
        f"{_say_when(extra, rejected)}{time}",
        measures=tuple(measures),
        remedy=_remedy(extra),
        confirm=("specprof run --draft <the target> --temperature 0",),
        rounds=first_rounds(rounds.index, either),
        where=Where(
            round=int(rounds.index[first]),
            context=int(rounds.context[first]),
            event="with a rejection" if rejected[first] else "with all drafts accepted",
            used=float(rounds.target_forwards[first] + extra.undone[first]),
            clean=1.0,
        ),
        suspects=("perf/two-target-forwards",),
    )


def _say_when(extra: ExtraForwards, rejected: Bools) -> str:
    undone, n = int(extra.undone.sum()), len(extra.rounds)
    if undone:
        others = "; others take a second one" if (extra.twice & ~extra.undone).any() else ""
        return (
            f"{undone:,} of {n:,} rounds ({undone / n:.0%}) are undone, and the next one verifies "
            f"the same drafts again{others}"
        )
    if extra.twice.all():
        return "a second one in every round"
    those = ", all of them with a rejection" if not extra.twice[~rejected].any() else ""
    return f"a second one in {extra.twice.mean():.0%} of {n:,} rounds{those}"


def _remedy(extra: ExtraForwards) -> str:
    if extra.twice.all():
        return (
            "take the correction or bonus from the logits of the verify pass, and feed it with the "
            "next round's drafts"
        )
    return (
        "keep a snapshot of the state at each drafted token, or a cache that can be cut, so that a "
        "rejection needs no replay"
    )
