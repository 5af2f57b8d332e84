"""The draft reads the prompt in another model's chat template.

Seen in
    SafeAILab/EAGLE#196; ROCm/ATOM#609.

Breaks
    For the draft alone, the first tokens of the text are replaced by as many tokens of a wrapper
    that the text never had. The draft's recheck reads the wrapper too, as it would in an engine
    with this fault.

Shows
    The overlap is lower while the prompt is short, and the draft's state is right. The capture
    alone can't distinguish it from another mismatch.
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
WRAPPER_TOKENS = 120
"""Length of the wrapper, which repeats the template: below the context of the first stop."""


class ChatTemplateMismatch(Fault):
    """Renders one prompt in two ways."""

    settings: ClassVar[dict[str, Value]] = {"context": 200}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wrap every sequence's prompt for its draft."""
        written = token_ids(run.target.tokenizer, TEMPLATE * WRAPPER_TOKENS)[:WRAPPER_TOKENS]
        with ExitStack() as stack:
            for lane in run.lanes:
                stack.enter_context(_wrap_prompt(lane, written))
            yield


@contextmanager
def _wrap_prompt(lane: Lane, written: list[int]) -> Iterator[None]:
    drafter = lane.loop.drafter
    if not isinstance(drafter, ModelDrafter) or drafter.plain is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} reads no prompt of its own"
        raise UsageError(title, "show this fault with the drafter draft-model")
    prefill, propose = drafter.prefill, drafter.propose

    def wrap(committed: list[int]) -> list[int]:
        return (written + committed[len(written) :])[: len(committed)]

    def propose_wrapped(committed: list[int], depth: int) -> Proposal:
        return propose(wrap(committed), depth)

    others = {
        "prefill": lambda committed: prefill(wrap(committed)),
        "propose": propose_wrapped,
        "plain": Wrapped(drafter.plain, written),
    }
    with swapped(drafter, **others):
        yield


class Wrapped(torch.nn.Module):
    """The draft's plain forward, over the wrapped text."""

    def __init__(self, inner: torch.nn.Module, written: list[int]) -> None:
        super().__init__()
        self.inner = inner
        self.written = written

    def forward(self, tokens: torch.Tensor, **given: Any) -> Any:  # noqa: ANN401 - passed on
        """Return the model's own output over [1, n] tokens, the first replaced by the wrapper."""
        count = min(len(self.written), tokens.shape[1])
        wrapper = torch.tensor([self.written[:count]], device=tokens.device)
        return self.inner(torch.cat([wrapper, tokens[:, count:]], 1), **given)
