"""Rounds at temperature 0: which token each model prefers is all there is to observe."""

from collections.abc import Sequence

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.evidence import RoundEvidence, final_probs
from specprof.engine.observe.judged import eldest_turned_down, is_straight, reached_nodes
from specprof.engine.observe.round_group import RoundGroup
from specprof.records import Observed


class GreedyRounds(RoundGroup):
    """Rounds of chains or trees. What is packed are ids of tokens, the models' first choices.

    The target's of all rounds come first, then the draft's. A deterministic draft's first choice is
    the token it drafted.
    """

    def __init__(self, rounds: Sequence[PlayedRound]) -> None:
        """Take rounds of one vocabulary that all have a law to draft from, or all have none."""
        super().__init__(rounds)
        self.rows = [needed_rows(one) for one in rounds]

    def pack(self) -> torch.Tensor:
        """Return [n] the first choices, on the device."""
        pairs = [*zip(self.rounds, self.rows, strict=True)]
        target = [one.target_logits[:rows] for one, (rows, _) in pairs]
        known = [(one.proposal.logits, rows) for one, (_, rows) in pairs]
        draft = [logits[:rows] for logits, rows in known if logits is not None]
        if not draft:
            tokens = [one.proposal.tokens[:rows] for one, (_, rows) in pairs]
            return torch.cat([torch.cat(target).argmax(-1), *tokens])
        if draft[0].shape[-1] == target[0].shape[-1]:
            return torch.cat([*target, *draft]).argmax(-1)
        return torch.cat([torch.cat(target).argmax(-1), torch.cat(draft).argmax(-1)])

    def unpack(self, numbers: Sequence[float]) -> list[RoundEvidence]:
        """Return the evidence of each round, from the first choices that `pack` returned."""
        target, draft, found = 0, sum(rows for rows, _ in self.rows), []
        for one, (judged, drafted) in zip(self.rounds, self.rows, strict=True):
            own = numbers[target : target + judged], numbers[draft : draft + drafted]
            found.append(_agreement(one, *own))
            target, draft = target + judged, draft + drafted
        return found


def needed_rows(played: PlayedRound) -> tuple[int, int]:
    """Return how many first rows are needed of the target's logits, and of the draft's.

    Of a chain those up to the first rejection; of a tree all.
    """
    count = len(played.drafted)
    if not is_straight(played):
        return count + 1, count
    return played.accepted + 1, min(played.accepted + 1, count)


def _agreement(
    played: PlayedRound, target: Sequence[float], draft: Sequence[float]
) -> RoundEvidence:
    """Return the evidence of a round, from its first choices.

    Every number is 0 or 1, and a one-hot law has no ranks. A chain's token is compared with the
    draft's own first choice. A tree's token is taken as the choice it was: all siblings but the
    first differ from the first choice by design.
    """
    final, observed = played.final, []
    for node in reached_nodes(played):
        token, best = played.drafted[node], target[played.parents[node] + 1]
        own = draft[node] if played.proposal.parents is None else token
        owed = float(token == best)
        observed.append(Observed(owed, float(token == own), float(best == own), owed, None))
    tip = played.path[-1] if played.path else -1
    fallen = eldest_turned_down(played)
    draft_prob = 0.0 if fallen is None else float(draft[fallen] == final)
    probs = final_probs(played, float(target[tip + 1] == final), draft_prob)
    if not is_straight(played) or _follows(played, target):
        return RoundEvidence(observed, *probs)
    choices = played.target_logits.argmax(-1).tolist()  # rare: only of a broken accept step
    return RoundEvidence(observed, *probs, row_choices=choices)


def _follows(played: PlayedRound, target: Sequence[float]) -> bool:
    """Return whether a chain's outcome follows from the target's first choices up to its end."""
    stood = played.accepted
    wrong = any(played.drafted[node] != target[node] for node in range(stood))
    if not played.ends_judged and stood < len(played.drafted):
        wrong |= played.drafted[stood] == target[stood]
    if len(played.emitted) > stood:
        wrong |= played.final != target[stood]
    return not wrong
