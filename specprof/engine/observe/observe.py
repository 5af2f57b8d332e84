"""Computes the evidence of drafted tokens from the two models' raw logits alone.

Of the accept step's results only the accepted tokens are read: a faulty accept step must not vouch
for itself. Many rounds are observed at once, and one small tensor for all of them goes to the host:
on a CPU every operation here is a visible part of a small model's round, on a device every launch.
A round's numbers do not depend on the rounds it is observed with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.evidence import RoundEvidence
from specprof.engine.observe.greedy_rounds import GreedyRounds
from specprof.engine.observe.round_group import RoundGroup
from specprof.engine.observe.sampled_chains import SampledChains
from specprof.engine.observe.sampled_tree import SampledTree
from specprof.extend import Acceptance, Law


@dataclass(frozen=True, slots=True)
class PendingEvidence:
    """Evidence on its way from the device: the numbers, and the groups that can read them."""

    groups: list[tuple[list[int], RoundGroup]]
    """Each with the numbers of its rounds, as `observe` was given them."""
    sizes: list[int]
    """How many numbers each group packed."""
    numbers: torch.Tensor
    """[sum of sizes] on the device."""

    def read(self) -> list[RoundEvidence]:
        """Bring the numbers over in one transfer; return the evidence of every round, in order."""
        numbers, start = self.numbers.tolist(), 0
        found: dict[int, RoundEvidence] = {}
        for (order, group), size in zip(self.groups, self.sizes, strict=True):
            evidence = group.unpack(numbers[start : start + size])
            found.update(zip(order, evidence, strict=True))
            start += size
        return [found[number] for number in range(len(found))]


@torch.inference_mode()
def observe(rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance) -> PendingEvidence:
    """Queue the evidence of rounds, at least one, that each drafted something."""
    groups = _grouped(rounds, law, acceptance)
    packed = [group.pack() for _, group in groups]
    numbers = packed[0] if len(packed) == 1 else torch.cat(packed)
    return PendingEvidence(groups, [each.shape[0] for each in packed], numbers)


def _grouped(
    rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance
) -> list[tuple[list[int], RoundGroup]]:
    """Return the rounds in groups, and the numbers of each group's rounds.

    The rounds of a group have one vocabulary, and all or none have a law to draft from. A sampled
    tree goes alone.
    """
    alike: dict[object, list[int]] = {}
    for number, one in enumerate(rounds):
        draft = one.proposal.logits
        kind: object = (one.target_logits.shape[-1], None if draft is None else draft.shape[-1])
        if not law.greedy and one.proposal.parents is not None:
            kind = number
        alike.setdefault(kind, []).append(number)
    groups: list[tuple[list[int], RoundGroup]] = []
    for numbers in alike.values():
        order = sorted(numbers, key=lambda each: rounds[each].accepted >= len(rounds[each].drafted))
        members = [rounds[number] for number in order]
        groups.append((order, _group(members, law, acceptance)))
    return groups


def _group(rounds: list[PlayedRound], law: Law, acceptance: Acceptance) -> RoundGroup:
    if law.greedy:
        return GreedyRounds(rounds)
    if rounds[0].proposal.parents is None:
        return SampledChains(rounds, law, acceptance)
    return SampledTree(rounds[0], law, acceptance)
