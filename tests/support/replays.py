"""A recorder of forwards for the CPU, which tests replay in the place of CUDA's.

It traces work into a graph of tensor operations. So it freezes every number and shape that the host
computes, as a CUDA graph does. Work that reads a tensor's value can't be traced, as a CUDA graph
can't record it.
"""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

import tiny

CPU = torch.device("cpu")
UNSLIDING = [kind for kind in tiny.ARCHITECTURES if kind not in ("mistral", "gemma3_text")]
"""Architectures without sliding layers."""


class TracingRecorder:
    """Records by tracing; a replay runs the trace again on the same tensors."""

    def __init__(self):
        self.made = 0

    def record(self, work):
        """Return a call that runs the trace again, and the tensor that holds its result."""
        self.made += 1
        result = work()
        graph = make_fx(work)()
        return lambda: result.copy_(graph()), result


def tokens(seed, count):
    """Return [count] token ids."""
    return torch.randint(tiny.VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


def feed_all(decoders, given):
    """Return each decoder's answer to the tokens `given`."""
    return [decoder.feed(given) for decoder in decoders]
