"""One unlucky round, and K stays at 1 for good.

Seen in
    mlx-node/mlx-node#115; huggingface/transformers#28759 (K outlives the call it was learnt in).

Breaks
    After the first round without an accepted draft the depth policy asks for one token, whatever
    comes.

Shows
    K falls once and never rises, though as much stands as before: a larger one would be faster.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from specprof.depths.hf_heuristic import LEAST, HfHeuristic
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.extend import Depth
from specprof.settings import Value


class AdaptiveKSmallSample(Fault):
    """A sample of one decides."""

    settings: ClassVar[dict[str, Value]] = {"depth_policy": "hf-heuristic"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Let every sequence's policy give up at the first blow."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_giving_up(lane.loop.parts.policy))
            yield


@contextmanager
def _giving_up(policy: Depth) -> Iterator[None]:
    if not isinstance(policy, HfHeuristic):
        title = f"depth policy {policy.settings.depth_policy!r} does not go by the last round"
        raise UsageError(title, "show this fault with --depth-policy hf-heuristic")
    learn = policy.learn

    def startled(drafted: int, accepted: int) -> None:
        if drafted and not accepted:
            policy.depth = LEAST
        elif policy.depth > LEAST:
            learn(drafted, accepted)

    with swapped(policy, learn=startled):
        yield
