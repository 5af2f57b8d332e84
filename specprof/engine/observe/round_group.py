"""Rounds that are observed together: packed into one tensor on the device, read on the host.

Each kind of group has its own layout, and knows both ways of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.evidence import RoundEvidence, final_probs, short
from specprof.engine.observe.judged import eldest_turned_down, reached_nodes
from specprof.engine.observe.layout import (
    FinalNumbers,
    Pieces,
    PlaceNumbers,
    pack_columns,
    unpack_rows,
)
from specprof.extend import Acceptance, Law
from specprof.records import Observed


class RoundGroup(ABC):
    """Rounds whose numbers are computed by the same few tensor operations."""

    def __init__(self, rounds: Sequence[PlayedRound]) -> None:
        """Take rounds of one vocabulary that all have a law to draft from, or all have none."""
        self.rounds = rounds

    @abstractmethod
    def pack(self) -> torch.Tensor:
        """Return [n] the numbers of all rounds, on the device."""

    @abstractmethod
    def unpack(self, numbers: Sequence[float]) -> list[RoundEvidence]:
        """Return the evidence of each round, from the numbers that `pack` returned."""


class SampledGroup(RoundGroup):
    """Rounds above temperature 0: of every place and every final token there are probabilities."""

    places: Sequence[Sequence[int]]
    """Of each round, the drafted tokens whose laws are looked at, in the order they are packed."""

    def __init__(self, rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance) -> None:
        """Take rounds that were drawn from `law` and judged by `acceptance`."""
        super().__init__(rounds)
        self.law = law
        self.acceptance = acceptance

    @abstractmethod
    def compute(self) -> tuple[PlaceNumbers[Pieces], FinalNumbers[Pieces]]:
        """Return the columns over all places of all rounds, and over all final tokens."""

    def pack(self) -> torch.Tensor:
        """Return [n] the columns of `compute`, one after another."""
        return pack_columns(*self.compute())

    def unpack(self, numbers: Sequence[float]) -> list[RoundEvidence]:
        """Return the evidence of each round, from the numbers that `pack` returned."""
        places, finals = unpack_rows(numbers, sum(map(len, self.places)), len(self.rounds))
        found = []
        for played, nodes, final in zip(self.rounds, self.places, finals, strict=True):
            observed = {node: self._observed(next(places)) for node in nodes}
            drafted = [observed[node] for node in reached_nodes(played)]
            found.append(self._evidence(played, drafted, final))
        return found

    def _observed(self, place: PlaceNumbers[float]) -> Observed:
        target, draft, owed = place.target_prob, place.draft_prob, place.owed
        if owed is None:
            owed = self.acceptance.owed_given(target, draft)
        rank = (place.likelier + 1) / 2  # half the mass of ties counts
        return Observed(short(target), short(draft), short(place.overlap), short(owed), short(rank))

    def _evidence(
        self, played: PlayedRound, drafted: list[Observed], final: FinalNumbers[float]
    ) -> RoundEvidence:
        """Join a round's parts. Its final token has a rank only where the rule owes it a law."""
        probs = final_probs(played, short(final.target_prob), short(final.draft_prob))
        jointly = self.acceptance.joint and eldest_turned_down(played) is not None
        due = self.acceptance.lossless and not jointly
        if probs[0] is None or not due or not final.total:
            return RoundEvidence(drafted, *probs)
        rank = (final.likelier / final.total + 1) / 2
        order = (final.lower + final.own / 2) / final.total
        return RoundEvidence(drafted, *probs, short(rank), short(order))
