"""The draft runs, but none of its tokens are verified.

Seen in
    vllm-project/vllm#30319 (num_drafts 0); antirez/ds4#761 (a stub in the kernel's place).

Breaks
    Every finished proposal is replaced by an empty proposal.

Shows
    Rounds ask for K tokens and spend the draft's time and forwards, but record no draft.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from specprof.engine.drafting import empty_proposal
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.extend import Proposal


class ProposalsNeverReachVerifier(Fault):
    """Loses proposals between draft and target."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Replace every sequence's proposals by empty ones."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_lose_proposals(lane))
            yield


@contextmanager
def _lose_proposals(lane: Lane) -> Iterator[None]:
    drafter, propose = lane.loop.drafter, lane.loop.drafter.propose

    def propose_nothing(committed: list[int], depth: int) -> Proposal:
        return empty_proposal(propose(committed, depth).tokens.device)

    with swapped(drafter, propose=propose_nothing):
        yield
