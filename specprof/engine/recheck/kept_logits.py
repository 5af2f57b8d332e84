"""The raw logits a burst acted on, held until it is rechecked.

KeptLogits as they are, where they lie: nothing is copied and nobody waits.
"""

from dataclasses import dataclass, field

import torch

from specprof.engine.loop import PlayedRound

ROOM = 2**28
"""Bytes held of one stop, all sequences together: 256 MiB."""


@dataclass(frozen=True, slots=True)
class UsedLogits:
    """What one round acted on."""

    target: torch.Tensor
    """[N+1, vocab], as `PlayedRound.target_logits`."""
    draft: torch.Tensor | None
    """[N, vocab], as `Proposal.logits`."""

    @property
    def bytes(self) -> int:
        """What they take."""
        return self.target.nbytes + (0 if self.draft is None else self.draft.nbytes)


@dataclass(slots=True)
class KeptLogits:
    """What a burst's rounds acted on, in their order; None from where there was no more room."""

    room: int
    """Bytes left."""
    rounds: list[UsedLogits | None] = field(default_factory=list)

    def keep(self, played: PlayedRound) -> None:
        """Hold what a round acted on, if it fits."""
        acted = UsedLogits(played.target_logits, played.proposal.logits)
        fits = acted.bytes <= self.room
        self.room -= acted.bytes if fits else 0
        self.rounds.append(acted if fits else None)
