"""The draft's cache keeps the nodes of every tree it drafted, and shows them to what follows.

Seen in
    SafeAILab/EAGLE#336 (a reader's claim; not confirmed in what was seen).

Breaks
    Once a tree has been drafted its mask is dropped and its rows are not: they become part of the
    chain.

Shows
    The draft's cache is too long by the nodes of all trees so far, whatever was accepted; its law
    strays from a burst's second round on. The target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.extend import Proposal
from specprof.faults._miscount import DraftCount, draft_counted
from specprof.settings import Value


class EagleZombieTreeNodes(Fault):
    """Shown with a draft model, whose cache a tree leaves in the same way as a head's."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree", "widths": "3,1,1,1"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let no draft forget a tree."""
        return draft_counted(run, Haunted)


class Haunted(DraftCount):
    """Counts the committed tokens, and keeps whatever else it was fed."""

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft a tree that stays."""
        with swapped(self.draft, rollback=self._keep):
            proposal = super().propose(committed, depth)
        if depth:
            self.count = len(committed)
        return proposal

    def _keep(self, length: int) -> None:
        nodes = self.draft.length - length
        if nodes:
            self.draft.keep(range(nodes))
