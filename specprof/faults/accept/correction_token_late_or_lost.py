"""After a rejection only what stood is committed: the correction is lost.

Seen in
    openvinotoolkit/openvino.genai#4190, #4490.

Breaks
    The last token of a round that turned a draft down is dropped, unless it is the only one.

Shows
    Rounds with a rejection emit as many tokens as they accepted, one less than a target forward
    pays for; rounds without one emit their bonus.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._rounds import committing


class CorrectionTokenLateOrLost(Fault):
    """The round ends before its correction."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Drop corrections; a round that accepts nothing keeps its own, or it would never end."""
        del run
        return committing(_without_correction)


def _without_correction(emitted: list[int], drafted: int) -> list[int]:
    return emitted[:-1] if 1 < len(emitted) <= drafted else emitted
