"""Records short forwards before and between rounds, never inside a round.

Knows which widths the next rounds need; `replay/` knows how a forward is recorded.
"""

from collections.abc import Collection

from specprof.engine.decoder import Decoder, innermost
from specprof.engine.loop import Loop
from specprof.engine.replay.model import MIN_MISSES, ReplayedModel


def record_next(loop: Loop) -> None:
    """Record the forwards of the widths that the next rounds need.

    A draft is fed one token, or two after a round that accepted all its drafts. A target is fed one
    token when it decodes alone, else the drafts and one more. Where fewer are drafted than the
    policy may ask for, that width is recorded later, by `record_missed`.
    """
    _record(loop.target, (1, loop.parts.policy.bound + 1))
    _record(loop.drafter.draft, (1, 2))


def record_plain(loop: Loop) -> None:
    """Record the target's forwards of one token, for decoding without drafts."""
    _record(loop.target, (1,))


def _record(decoder: Decoder | None, counts: Collection[int]) -> None:
    within = innermost(decoder)
    if isinstance(within, ReplayedModel):
        within.record_widths(counts)


def record_missed(loop: Loop) -> None:
    """Record the forwards that were missed often."""
    for decoder in map(innermost, (loop.target, loop.drafter.draft)):
        if (
            isinstance(decoder, ReplayedModel)
            and max(decoder.missed.values(), default=0) >= MIN_MISSES
        ):
            decoder.record_widths()
