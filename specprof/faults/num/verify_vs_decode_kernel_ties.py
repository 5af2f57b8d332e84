"""Verification rounds otherwise than a single step does: near ties flip, and nothing is wrong.

Seen in
    huggingface/transformers#39421; NVIDIA/TensorRT-LLM#2208 (not a bug); antirez/ds4#658;
    dilab-zju/self-speculative-decoding#16; kekzl/imp#667.

Breaks
    Nothing: a control. In bfloat16 the target's logits of a verification are off at random by 0.02,
    a sixth of that type's step where logits are 16 to 32: another order of summation does as much.

Shows
    Laws as the run used them differ from the recomputed ones by less than the noise floor. At
    temperature 0 a choice between two tokens that are alike to three digits may fall the other way.
    No verdict may call this a bug.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import in_each
from specprof.faults._miscount import target_of
from specprof.settings import Value

SIZE = 2e-2
"""Standard deviation of a logit's error."""


class VerifyVsDecodeKernelTies(Fault):
    """Far below the margins of most choices."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0, "dtype": "bfloat16"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Disturb each target's verdicts."""
        return in_each(run, _broken)


@contextmanager
def _broken(lane: Lane) -> Iterator[None]:
    target = target_of(lane)
    whole, generator = target.feed, torch.Generator(target.device).manual_seed(0)

    def feed(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        logits = whole(tokens, parents)
        if tokens.shape[0] == 1:
            return logits
        noise = torch.randn(logits.shape, generator=generator, device=logits.device)
        return logits + SIZE * noise

    with swapped(target, feed=feed):
        yield
