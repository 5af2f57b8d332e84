"""The raw logits that a burst acted on, kept until it is rechecked.

They stay as they are, on their device: nothing is copied, and the run doesn't wait for them.
"""

from dataclasses import dataclass, field

import torch

from specprof.engine.loop import PlayedRound

MAX_KEPT_BYTES = 2**28
"""The limit for one stop, all sequences together: 256 MiB."""


@dataclass(frozen=True, slots=True)
class UsedLogits:
    """The raw logits that one round acted on."""

    target: torch.Tensor
    """[N+1, vocab], as `PlayedRound.target_logits`."""
    draft: torch.Tensor | None
    """[N, vocab], as `Proposal.logits`."""

    @property
    def bytes(self) -> int:
        """Bytes they take."""
        return self.target.nbytes + (0 if self.draft is None else self.draft.nbytes)


@dataclass(slots=True)
class KeptLogits:
    """The logits that a burst's rounds acted on, in order; None for a round that didn't fit."""

    room: int
    """Bytes left."""
    rounds: list[UsedLogits | None] = field(default_factory=list)

    def keep(self, played: PlayedRound) -> None:
        """Keep the logits that a round acted on, if they fit."""
        used = UsedLogits(played.target_logits, played.proposal.logits)
        fits = used.bytes <= self.room
        self.room -= used.bytes if fits else 0
        self.rounds.append(used if fits else None)
