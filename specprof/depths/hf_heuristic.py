"""Two deeper after a round that was accepted whole, one shallower after any other.

transformers' schedule `heuristic` (`AssistedCandidateGenerator.update_candidate_strategy`). It
settles where a third of the rounds are accepted whole, whatever a draft costs (theory 8), and has
no bound of its own: where everything is accepted it would grow without end, so that here it stops
at the 20 tokens that transformers' default schedule, `constant`, asks for.
"""

from specprof.extend import Depth
from specprof.settings import Settings

UP, DOWN, LEAST = 2, 1, 1


class HfHeuristic(Depth):
    """`Settings.depth` is where it starts."""

    deepest = 20

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.depth = settings.depth

    def ask(self) -> int:
        """Return K."""
        return self.depth

    def learn(self, drafted: int, accepted: int) -> None:
        """Adjust K. A round that drafted nothing teaches nothing.

        Accepted whole is all that was drafted, or in a tree all its levels.
        """
        if drafted == 0:
            return
        if accepted >= min(drafted, self.depth):
            self.depth = min(self.depth + UP, self.bound)
        else:
            self.depth = max(self.depth - DOWN, LEAST)
