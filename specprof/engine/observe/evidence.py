"""The evidence of one round, on the host. Knows no tensors and no laws."""

from collections.abc import Sequence
from dataclasses import dataclass

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.judged import eldest_turned_down, reached_nodes
from specprof.records import Drafted, Observed


@dataclass(frozen=True, slots=True)
class RoundEvidence:
    """What was observed of a round."""

    drafted: list[Observed]
    """One for every drafted token that was reached, in order."""
    final_target_prob: float | None
    """The target's probability of the correction or bonus; None where the limit or a stop token cut
    it off."""
    final_draft_prob: float | None
    """The draft's probability of the correction; None for a bonus, which the draft has no part in,
    and where the limit or a stop token cut it off."""
    final_rank: float | None = None
    """Where the final token lies in the law it must be drawn from, by likelihood
    (`Round.final_rank`)."""
    final_order: float | None = None
    """Where the final token lies in that law by id (`Round.final_order`)."""
    row_choices: Sequence[int] = ()
    """The target's first choice by each row, where the outcome does not follow from them
    (`Round.row_choices`)."""


def drafted_tokens(played: PlayedRound, evidence: RoundEvidence | None) -> list[Drafted]:
    """Make the round's drafted tokens, with what was observed of those that were reached."""
    path, judged = played.path, reached_nodes(played)
    drafted = evidence.drafted if evidence else [None] * len(judged)
    observed = dict(zip(judged, drafted, strict=True))
    if played.ends_judged:
        observed = {node: observed[node] for node in path}
    return [
        Drafted(token, parent, node in observed, node in path, observed.get(node))
        for node, (token, parent) in enumerate(zip(played.drafted, played.parents, strict=True))
    ]


def final_probs(
    played: PlayedRound, target: float, draft: float
) -> tuple[float | None, float | None]:
    """Return the final token's two probabilities, None where the round has no such number."""
    if len(played.emitted) <= played.accepted:  # the limit, or a stop token, cut it off
        return None, None
    return target, None if eldest_turned_down(played) is None else draft


def short(value: float) -> float:
    """Round to five significant digits: enough for every test, half the bytes in the capture."""
    return float(f"{value:.5g}")
