"""Between the steps of a round the host keeps everyone waiting for its books.

Seen in
    sgl-project/sglang#21895; ollama/ollama#16791; vllm-project/vllm#53694; kekzl/imp#667.

Breaks
    Every round ends with a wait that belongs to no step.

Shows
    A large part of the round lies in none of its spans; the steps cost what they did.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.extend import Depth
from specprof.faults._waits import wait
from specprof.settings import Value

BOOKS_MS = 30.0


class HostSyncAndBookkeeping(Fault):
    """Per-token readings, a tree built on the host."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait whenever a round is told to its depth policy, after its last span."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_keeping_books(lane.loop.parts.policy))
            yield


@contextmanager
def _keeping_books(policy: Depth) -> Iterator[None]:
    learn = policy.learn

    def slowly(drafted: int, accepted: int) -> None:
        wait(BOOKS_MS)
        learn(drafted, accepted)

    with swapped(policy, learn=slowly):
        yield
