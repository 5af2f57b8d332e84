"""Two deeper after a round that was accepted whole, one shallower after any other.

transformers' schedule `heuristic` (`AssistedCandidateGenerator.update_candidate_strategy`). It
settles where a third of the rounds are accepted whole, whether a draft is cheap or dear (theory 8).
It has no bound of its own: where everything is accepted it would grow without end. Here it stops at
20 tokens, as many as transformers' default schedule, `constant`, asks for.
"""

from specprof.extend import Depth
from specprof.settings import Settings

STEP_UP, STEP_DOWN, MIN_DEPTH = 2, 1, 1


class HfHeuristic(Depth):
    """Starts at `Settings.depth`."""

    deepest = 20

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.depth = settings.depth

    def ask(self) -> int:
        """Return K."""
        return self.depth

    def learn(self, drafted: int, accepted: int) -> None:
        """Adjust K; a round that drafted nothing leaves it.

        A round is accepted whole if all its drafts were accepted, or in a tree all its levels.
        """
        if drafted == 0:
            return
        if accepted >= min(drafted, self.depth):
            self.depth = min(self.depth + STEP_UP, self.bound)
        else:
            self.depth = max(self.depth - STEP_DOWN, MIN_DEPTH)
