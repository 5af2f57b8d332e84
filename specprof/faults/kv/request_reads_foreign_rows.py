"""Now and then a request is decoded over the cached rows of another text.

Seen in
    Theoretical, no public thread states this cause: a table of slots that is not renewed when a
    request takes over a slot leads to it.

Breaks
    In every third request the target's cache holds as many rows as the prompt has tokens, and they
    belong to another text.

Shows
    Lengths and positions are right. Some requests are wrong as a whole, from their first round on,
    and all others are right. The draft is right. At temperature 0 too.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.decoder import CausalModel
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count
from specprof.settings import Value

REQUEST_INTERVAL = 3
"""Requests from one mistake to the next. The warm-up is the first request."""


class RequestReadsForeignRows(Fault):
    """Prefills another text."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6, "max_new_tokens": 96}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give each third request of a sequence foreign rows."""
        return replace_target_count(run, Foreign)


class Foreign(TargetCount):
    """Reads the prompt backwards in each third request: a text of the same length."""

    def __init__(self, target: CausalModel) -> None:
        super().__init__(target)
        self.requests = 0

    def prefill(self, tokens: Sequence[int]) -> None:
        """Read a request's text, or another one."""
        self.requests += 1
        foreign = self.requests % REQUEST_INTERVAL == 0
        super().prefill(list(tokens)[::-1] if foreign else tokens)
