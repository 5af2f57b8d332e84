"""Drafts are first choices whatever the temperature; the target draws, and equality decides.

Seen in
    z-lab/dflash#74, #77; vllm-project/vllm#16899 (on purpose), #40149.

Breaks
    The draft step takes the argmax. The rule is `exact-match`, under which the text has the
    target's law whatever is drafted.

Shows
    No draft is ever a second choice; as many stand as the target gives the draft's first choice,
    where rejection with sampled drafts would keep more; corrections and bonuses are clean.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._drafts import drawing, first_choice
from specprof.settings import Value


class TemperatureIgnored(Fault):
    """A greedy draft beside a sampled target."""

    settings: ClassVar[dict[str, Value]] = {"acceptance": "exact-match"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Take first choices in every draft step."""
        return drawing(run, first_choice)
