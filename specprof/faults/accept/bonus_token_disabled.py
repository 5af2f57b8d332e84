"""After an all-accepted round the bonus token, which costs nothing, is thrown away.

Seen in
    vllm-project/vllm#5765: a third of the completion time at K = 1.

Breaks
    The last token of a round is dropped if all its drafts were accepted.

Shows
    All-accepted rounds emit as many tokens as they drafted. Rounds with a rejection emit one more
    than they accepted.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._rounds import cut_commits


class BonusTokenDisabled(Fault):
    """Ends an all-accepted round with its last draft."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Drop bonuses."""
        del run
        return cut_commits(_drop_bonus)


def _drop_bonus(emitted: list[int], drafted: int) -> list[int]:
    return emitted[:-1] if 0 < drafted < len(emitted) else emitted
