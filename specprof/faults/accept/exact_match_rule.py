"""Rejection sampling is declared, but a draft is accepted only if it equals the target's own draw.

Seen in
    vllm-project/vllm#35461, #40651; ml-explore/mlx-lm#1085, #1709; lablup/mlxcel#992 (which proves
    that nothing is wrong with the text).

Breaks
    The accept step is the one of `exact-match`, under another rule's name.

Shows
    Fewer drafts are accepted than rejection sampling would accept: as many as two independent draws
    agree. The text still has the target's distribution. It is slower than need be, and no bug.
"""

from contextlib import AbstractContextManager

from specprof.acceptance.exact_match import ExactMatch
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import replace_decide


class ExactMatchRule(Fault):
    """Plays another rule than the header names."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Decide every round by `exact-match`."""
        return replace_decide(run, lambda _: ExactMatch().decide)
