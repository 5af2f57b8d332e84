"""The probabilities the run acted on differ from those recomputed without a cache.

Measures
    Share of rechecked places where the target's, or the draft's, probability of the drafted token
    differs by more than rounding can do; the overlap lost by it; where it begins and after which
    round outcome it is worst.

Fires when
    More places differ than the noise floor of the data type allows (0.2 % of places in float32,
    5 % in bfloat16, near ties excused), by an exact binomial test at 0.2 % a side.

Why this is a bug and not a mismatch
    The recheck feeds the same tokens to the same weights in one plain pass. A mismatch between
    the two models is in both; a wrong cache, position or mask is only in the run's own.

Likely causes
    One side, after rejections: rollback keeps or drops too much. After all-accepted rounds: the
    last draft was never fed. From the first round on: positions or masks. Later draft indices
    only: the draft's own steps. The target's side: its text is no longer the target's.

Confirm
    Recheck a fresh, single-stop run: a drift that needs rounds to build up is a rollback.

Does not see
    A wrong configuration that both passes share (RoPE scaling, a wrong checkpoint); places deeper
    than recheck_context; younger siblings in a tree. Greedy, a state that is wrong by too little to
    change a first choice: sample at temperature 1 to see it.

Try it
    specprof drill draft-state
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome

AFTER = ("in a burst's first round", "after a rejection", "after an all-accepted round")


class StateDrifts(Rule):
    """An exact test against a stated noise floor."""

    family: ClassVar[Family] = "bug"
    row: ClassVar[float] = 3
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the laws as used with the recheck, side by side."""
        drift = evidence.ask(attribution.drift)
        sides = {
            "target": (drift.target, drift.target_p_value),
            "draft": (drift.draft, drift.draft_p_value),
        }
        astray = {
            side: wrong for side, (wrong, p_value) in sides.items() if p_value <= evidence.alpha
        }
        if not astray:
            off = f"probabilities off by {drift.noise.probability:.1%}"
            if evidence.greedy:
                off = "another first choice"
            floor = f"in {drift.noise.share:.1%} of places"
            return Clear(detectable=f"{off} {floor}; {drift.n:,} rechecked")
        return Found(finding=_finding(evidence, astray))


def _finding(evidence: Evidence, astray: dict[str, Bools]) -> Finding:
    pairs, wrong = evidence.pairs, np.logical_or.reduce(list(astray.values()))
    first = int(wrong.argmax())
    measures = [
        Measure(name=f"{side} astray per rechecked place", value=float(each.mean()), n=len(each))
        for side, each in astray.items()
    ]
    measures.append(
        Measure(
            name="overlap lost per rechecked place",
            value=float((pairs.overlap_clean - pairs.overlap_used).mean()),
            n=len(wrong),
        )
    )
    measures += _lost(evidence)
    who = "both models decide" if len(astray) > 1 else f"the {next(iter(astray))} decides"
    where = f"from round {pairs.round[first]} at context {pairs.context[first]:,} on"
    return Finding(
        message=f"{who} from a wrong state {_when(evidence, wrong)} ({where})",
        measures=tuple(measures),
        remedy="check that rollback leaves exactly the committed tokens, that position ids equal "
        "token indices, and that a verify block's rows don't see each other's future",
        confirm=("specprof run --stops 1 --context 1024",),
        rounds=tuple(np.unique(pairs.round[wrong])[:5].tolist()),
        headline=True,
    )


def _lost(evidence: Evidence) -> list[Measure]:
    """Return the state's bracket of the chain, where the rule in force has one."""
    try:
        chain = evidence.ask(attribution.attribute)
    except MissingEvidence:
        return []
    if chain.state is None:
        return []
    frac = chain.state.frac
    name = f"overlap lost per {chain.counted}"
    return [Measure(name=name, value=frac.value, n=chain.reached, low=frac.low, high=frac.high)]


def _when(evidence: Evidence, wrong: Bools) -> str:
    """Name the round outcome after which places go astray, if it is one."""
    after = evidence.after[evidence.row(evidence.pairs.round)]
    shares = [
        float(wrong[after == kind].mean()) if (after == kind).any() else 0.0 for kind in (0, 1, 2)
    ]
    worst = int(np.argmax(shares))
    others = max(share for kind, share in enumerate(shares) if kind != worst)
    if others <= shares[worst] / 3:
        return f"{AFTER[worst]}"
    if shares[0] <= max(shares) / 3:
        return "once a burst's first round is over"
    index = evidence.pairs.index
    if (index > 0).any() and wrong[index == 0].mean() <= wrong[index > 0].mean() / 3:
        return "at every draft index but the first"
    return "throughout"
