"""The draft takes its first choice at any temperature; it is accepted if the target draws it too.

Seen in
    z-lab/dflash#74, #77; vllm-project/vllm#16899 (on purpose), #40149.

Breaks
    The draft step takes the argmax. The rule is `exact-match`, under which the text has the
    target's distribution whatever is drafted.

Shows
    No draft is ever a second choice. The acceptance rate is the probability that the target gives
    the draft's first choice, and rejection sampling with drawn drafts would accept more.
    Corrections and bonuses are right.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._drafts import make_likeliest_draw, replace_draw
from specprof.settings import Value


class TemperatureIgnored(Fault):
    """Pairs a greedy draft with a sampled target."""

    settings: ClassVar[dict[str, Value]] = {"acceptance": "exact-match"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Take first choices in every draft step."""
        return replace_draw(run, make_likeliest_draw)
