"""Verification and single steps round differently: near ties flip, and nothing is wrong.

Seen in
    huggingface/transformers#39421; NVIDIA/TensorRT-LLM#2208 (not a bug); antirez/ds4#658;
    dilab-zju/self-speculative-decoding#16; kekzl/imp#667.

Breaks
    Nothing: this is a control. In bfloat16 the target's logits of a verification get random errors
    of 0.02, a sixth of that type's step between 16 and 32. Another order of summation causes
    as much.

Shows
    The distributions that the run used differ from the recomputed ones by less than the noise
    floor. At temperature 0 a choice between two tokens that agree to three digits may change. No
    verdict may call this a bug.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import break_each_sequence
from specprof.faults._miscount import target_of
from specprof.settings import Value

LOGIT_ERROR_STD = 2e-2
"""Standard deviation of a logit's error."""


class VerifyVsDecodeKernelTies(Fault):
    """Adds errors far below the margins of most choices."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0, "dtype": "bfloat16"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Add noise to each target's logits when it verifies."""
        return break_each_sequence(run, _break_sequence)


@contextmanager
def _break_sequence(lane: Lane) -> Iterator[None]:
    target = target_of(lane)
    original, generator = target.feed, torch.Generator(target.device).manual_seed(0)

    def feed(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        logits = original(tokens, parents)
        if tokens.shape[0] == 1:
            return logits
        noise = torch.randn(logits.shape, generator=generator, device=logits.device)
        return logits + LOGIT_ERROR_STD * noise

    with swapped(target, feed=feed):
        yield
