"""An all-accepted round throws away the token the target gives it for nothing.

Seen in
    vllm-project/vllm#5765: a third of the completion time at K = 1.

Breaks
    The last token of a round whose drafts all stood is dropped.

Shows
    All-accepted rounds emit as many tokens as were drafted; rounds with a rejection, one more than
    they accepted.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._rounds import committing


class BonusTokenDisabled(Fault):
    """Drafts, and nothing after them."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Drop bonuses."""
        del run
        return committing(_without_bonus)


def _without_bonus(emitted: list[int], drafted: int) -> list[int]:
    return emitted[:-1] if 0 < drafted < len(emitted) else emitted
