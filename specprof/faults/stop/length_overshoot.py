"""The last round goes past the length limit.

Seen in
    huggingface/transformers#46993, #47195.

Breaks
    A round's tokens are not cut at the length limit.

Shows
    Bursts end up to K tokens longer than `max_new_tokens`.
"""

from contextlib import AbstractContextManager

from specprof.engine import loop
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run


class LengthOvershoot(Fault):
    """Commits a whole round, however few tokens are left."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Cut rounds at stop tokens alone."""
        del run
        stopped = loop._stopped  # noqa: SLF001 - the place to break

        def without_limit(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
            del room
            return stopped(emitted, len(emitted), stop)

        return swapped(loop, _stopped=without_limit)
