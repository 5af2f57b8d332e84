"""Everything waits while the host does bookkeeping between the steps of a round.

Seen in
    sgl-project/sglang#21895; ollama/ollama#16791; vllm-project/vllm#53694; kekzl/imp#667.

Breaks
    Every round ends with a wait that belongs to no step.

Shows
    A large part of the round lies in none of its spans. The steps take as long as before.
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

BOOKKEEPING_MS = 30.0


class HostSyncAndBookkeeping(Fault):
    """Stands for per-token readings, or a tree built on the host."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait whenever the depth policy learns from a round, which is after its last span."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_keep_books(lane.loop.parts.policy))
            yield


@contextmanager
def _keep_books(policy: Depth) -> Iterator[None]:
    learn = policy.learn

    def learn_slowly(drafted: int, accepted: int) -> None:
        wait(BOOKKEEPING_MS)
        learn(drafted, accepted)

    with swapped(policy, learn=learn_slowly):
        yield
