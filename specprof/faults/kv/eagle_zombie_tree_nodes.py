"""The draft's cache keeps the nodes of every tree it drafted, and later tokens attend to them.

Seen in
    SafeAILab/EAGLE#336 (a reader's claim; not confirmed).

Breaks
    After a tree was drafted its mask is dropped but its rows stay: they become part of the chain.

Shows
    The draft's cache is too long by the nodes of all trees so far, accepted or not. Its
    distribution is wrong from a burst's second round on. The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.extend import Proposal
from specprof.faults._miscount import DraftCount, replace_draft_count
from specprof.settings import Value


class EagleZombieTreeNodes(Fault):
    """Shown with a draft model, because a tree's nodes leave its cache as they leave a head's."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree", "widths": "3,1,1,1"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Keep every tree in each draft's cache."""
        return replace_draft_count(run, Haunted)


class Haunted(DraftCount):
    """Counts the committed tokens, and keeps the tree nodes beside them."""

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft a tree, and keep its nodes."""
        with swapped(self.draft, rollback=self._keep):
            proposal = super().propose(committed, depth)
        if depth:
            self.count = len(committed)
        return proposal

    def _keep(self, length: int) -> None:
        nodes = self.draft.length - length
        if nodes:
            self.draft.keep(range(nodes))
