"""The draft runs, and nothing it drafted is verified.

Seen in
    vllm-project/vllm#30319 (num_drafts 0); antirez/ds4#761 (a stub in the kernel's place).

Breaks
    Every proposal is replaced by an empty one after it was made.

Shows
    Rounds ask for K tokens, spend the draft's time and forwards, and draft none.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from specprof.engine.drafting import empty_proposal
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.extend import Proposal


class ProposalsNeverReachVerifier(Fault):
    """Lost on the way."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Lose every sequence's proposals."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_losing(lane))
            yield


@contextmanager
def _losing(lane: Lane) -> Iterator[None]:
    drafter, propose = lane.loop.drafter, lane.loop.drafter.propose

    def lost(committed: list[int], depth: int) -> Proposal:
        return empty_proposal(propose(committed, depth).tokens.device)

    with swapped(drafter, propose=lost):
        yield
