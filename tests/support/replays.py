"""What replayed forwards are tried with: a recorder for the CPU, in the place of CUDA's.

It traces work into a graph of tensor operations, and so freezes every number and shape the host had
a hand in, as a CUDA graph does; what asks a tensor for its value can't be traced, as it can't there
be recorded.
"""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

import tiny

CPU = torch.device("cpu")
SCRIPTED = [kind for kind in tiny.ARCHITECTURES if kind not in ("mistral", "gemma3_text")]
"""Those whose layers don't slide."""


class Traced:
    """Records by tracing; what was traced is done again to the same tensors."""

    def __init__(self):
        self.made = 0

    def record(self, work):
        """Return what runs the trace again, and the tensor it leaves its result in."""
        self.made += 1
        result = work()
        graph = make_fx(work)()
        return lambda: result.copy_(graph()), result


def tokens(seed, count):
    """Return [count] token ids."""
    return torch.randint(tiny.VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


def both(decoders, given):
    """Return what each decoder answers to the same tokens."""
    return [decoder.feed(given) for decoder in decoders]
