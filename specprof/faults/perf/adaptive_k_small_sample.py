"""After one unlucky round K stays at 1 for the rest of the run.

Seen in
    mlx-node/mlx-node#115; huggingface/transformers#28759 (K outlives the call that learnt it).

Breaks
    After the first round without an accepted draft the depth policy asks for one token a round, and
    never for more.

Shows
    K falls once and never rises, though as many drafts are accepted as before. A larger K would be
    faster.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from specprof.depths.hf_heuristic import MIN_DEPTH, HfHeuristic
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.extend import Depth
from specprof.settings import Value


class AdaptiveKSmallSample(Fault):
    """Decides by a sample of one round."""

    settings: ClassVar[dict[str, Value]] = {"depth_policy": "hf-heuristic"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Make every sequence's policy give up after the first round without an accepted draft."""
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_give_up_early(lane.loop.parts.policy))
            yield


@contextmanager
def _give_up_early(policy: Depth) -> Iterator[None]:
    if not isinstance(policy, HfHeuristic):
        title = f"depth policy {policy.settings.depth_policy!r} does not learn from the last round"
        raise UsageError(title, "show this fault with --depth-policy hf-heuristic")
    learn = policy.learn

    def learn_until_failure(drafted: int, accepted: int) -> None:
        if drafted and not accepted:
            policy.depth = MIN_DEPTH
        elif policy.depth > MIN_DEPTH:
            learn(drafted, accepted)

    with swapped(policy, learn=learn_until_failure):
        yield
