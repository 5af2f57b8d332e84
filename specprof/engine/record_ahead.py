"""Short forwards are recorded before and between rounds, never inside one.

Knows what widths the next rounds need; how a forward is recorded is `replay/`'s business.
"""

from collections.abc import Collection

from specprof.engine.decoder import Decoder, innermost
from specprof.engine.loop import Loop
from specprof.engine.replay.model import MISSED, ReplayedModel


def ready(loop: Loop) -> None:
    """Record ahead, outside any round, what rounds will take.

    A draft is fed one token, or two after a round that took them all; a target one by itself, else
    as many as are drafted and one. Where a policy or a lookup drafts fewer, it is missed at first.
    """
    _ready(loop.target, (1, loop.parts.policy.bound + 1))
    _ready(loop.drafter.draft, (1, 2))


def ready_alone(loop: Loop) -> None:
    """Record ahead what the target takes where nothing is drafted."""
    _ready(loop.target, (1,))


def _ready(decoder: Decoder | None, counts: Collection[int]) -> None:
    within = innermost(decoder)
    if isinstance(within, ReplayedModel):
        within.ready(counts)


def catch_up(loop: Loop) -> None:
    """Record, between rounds, what was missed often."""
    for decoder in map(innermost, (loop.target, loop.drafter.draft)):
        if isinstance(decoder, ReplayedModel) and max(decoder.missed.values(), default=0) >= MISSED:
            decoder.ready()
