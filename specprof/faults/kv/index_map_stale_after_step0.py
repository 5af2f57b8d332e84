"""After a batch's first draft step, tokens read the keys of another sequence.

Seen in
    NVIDIA/TensorRT-LLM#17240: the map from tokens to requests was made for K tokens per request,
    and is used where there is one token per request.

Breaks
    From the second draft step of a round on, row i of the batch attends to the cache of sequence
    i // K.

Shows
    In a batch the draft's distribution is right at draft index 0 and wrong at every later index, in
    all sequences but the first. A batch of one is right. Lengths and the target are right. At
    temperature 0 too.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, ClassVar, cast

import torch

from specprof.engine.batch import SharedDecoder
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.settings import Value


class IndexMapStaleAfterStep0(Fault):
    """Uses an index map after the batch's layout has changed."""

    settings: ClassVar[dict[str, Value]] = {"batch": 2, "stops": 7}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Count the draft steps of a round; from the second on, read the wrong rows.

        Raises UsageError without a batch.
        """
        loop = run.lanes[0].loop
        seats = loop.target, loop.drafter.draft
        if not all(isinstance(seat, SharedDecoder) for seat in seats):
            title = "the fault kv/index-map-stale-after-step0 needs a batch"
            raise UsageError(title, "use --batch 2")
        target, draft = (seat.shared for seat in cast("tuple[SharedDecoder, SharedDecoder]", seats))
        steps = Steps(run.settings.depth)
        with ExitStack() as stack:
            stack.enter_context(swapped(target, answer=partial(steps.begin, target.answer)))
            stack.enter_context(swapped(draft, answer=partial(steps.step, draft.answer)))
            for layer in draft.store.layers:
                stack.enter_context(swapped(layer, update=partial(steps.read, layer.update)))
            yield


class Steps:
    """Counts a batch's draft steps in a round, which decide whose keys its rows read."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.taken = 0

    def begin(self, answer: Callable[..., Any], *asked: object) -> Any:  # noqa: ANN401
        """Answer for the target; a round's first draft step comes next."""
        self.taken = 0
        return answer(*asked)

    def step(self, answer: Callable[..., Any], *asked: object) -> Any:  # noqa: ANN401
        """Answer for the draft, and count the step."""
        self.taken += 1
        return answer(*asked)

    def read(
        self,
        update: Callable[..., Any],
        *given: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write each row rightly; return other rows' [rows, heads, columns, head size]."""
        keys, values = update(*given)
        if self.taken < 2:  # noqa: PLR2004 - prefill, or the first step
            return keys, values
        rows = torch.arange(keys.shape[0], device=keys.device) // self.depth
        return keys[rows], values[rows]
