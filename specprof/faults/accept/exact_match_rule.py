"""Rejection is declared; what is played is equality with a draw of the target's own.

Seen in
    vllm-project/vllm#35461, #40651; ml-explore/mlx-lm#1085, #1709; lablup/mlxcel#992 (where it is
    proved that nothing is wrong with the text).

Breaks
    The accept step is that of `exact-match`, under another rule's name.

Shows
    Fewer drafts stand than rejection owes, as many as two independent draws agree; the text has the
    target's law all the same. Slower than need be, and no bug.
"""

from contextlib import AbstractContextManager

from specprof.acceptance.exact_match import ExactMatch
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import deciding


class ExactMatchRule(Fault):
    """Another rule than the header says."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Decide by equality."""
        return deciding(run, lambda _: ExactMatch().decide)
