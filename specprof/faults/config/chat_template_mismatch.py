"""The draft is shown the prompt in another model's template.

Seen in
    SafeAILab/EAGLE#196; ROCm/ATOM#609.

Breaks
    The first tokens of the text are, for the draft alone, a wrapper that the text never had, of the
    same length. Its recheck reads the same, as it would in an engine set up so.

Shows
    What the draft is owed is lower while the prompt is short, with a sound state: by the capture
    alone a mismatch like another.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import torch

from specprof.engine.drafting import ModelDrafter
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.setup.tokens import token_ids
from specprof.errors import UsageError
from specprof.extend import Proposal
from specprof.settings import Value

TEMPLATE = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
LENGTH = 120
"""Tokens of the wrapper, which is repeated up to here: fewer than the shallowest stop's."""


class ChatTemplateMismatch(Fault):
    """Two renderings of one prompt."""

    settings: ClassVar[dict[str, Value]] = {"context": 200}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wrap every sequence's prompt for its draft."""
        written = token_ids(run.target.tokenizer, TEMPLATE * LENGTH)[:LENGTH]
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_wrapping(lane, written))
            yield


@contextmanager
def _wrapping(lane: Lane, written: list[int]) -> Iterator[None]:
    drafter = lane.loop.drafter
    if not isinstance(drafter, ModelDrafter) or drafter.plain is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} reads no prompt of its own"
        raise UsageError(title, "show this fault with the drafter draft-model")
    prefill, propose = drafter.prefill, drafter.propose

    def shown(committed: list[int]) -> list[int]:
        return (written + committed[len(written) :])[: len(committed)]

    def proposed(committed: list[int], depth: int) -> Proposal:
        return propose(shown(committed), depth)

    others = {
        "prefill": lambda committed: prefill(shown(committed)),
        "propose": proposed,
        "plain": Wrapped(drafter.plain, written),
    }
    with swapped(drafter, **others):
        yield


class Wrapped(torch.nn.Module):
    """The draft's plain forward over the text as it was shown."""

    def __init__(self, inner: torch.nn.Module, written: list[int]) -> None:
        super().__init__()
        self.inner = inner
        self.written = written

    def forward(self, tokens: torch.Tensor, **given: Any) -> Any:  # noqa: ANN401 - passed on
        """Return the model's own output over [1, n] tokens in the wrapper."""
        count = min(len(self.written), tokens.shape[1])
        wrapper = torch.tensor([self.written[:count]], device=tokens.device)
        return self.inner(torch.cat([wrapper, tokens[:, count:]], 1), **given)
