"""After a rejection only the accepted drafts are committed: the correction is lost.

Seen in
    openvinotoolkit/openvino.genai#4190, #4490.

Breaks
    The last token of a round with a rejection is dropped, unless it is the round's only token.

Shows
    Rounds with a rejection emit as many tokens as they accepted, one less than the target forward
    yields. Rounds without a rejection emit their bonus.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._rounds import cut_commits


class CorrectionTokenLateOrLost(Fault):
    """Ends a round before its correction."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Drop corrections. A round that accepts nothing keeps its own, or the run never ends."""
        del run
        return cut_commits(_drop_correction)


def _drop_correction(emitted: list[int], drafted: int) -> list[int]:
    return emitted[:-1] if 1 < len(emitted) <= drafted else emitted
