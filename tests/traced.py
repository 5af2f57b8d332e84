"""A recorder for the CPU, in the place of CUDA's.

It traces work into a graph of tensor operations, and so freezes every number and shape the host had
a hand in, as a CUDA graph does; what asks a tensor for its value can't be traced, as it can't there
be recorded.
"""

from torch.fx.experimental.proxy_tensor import make_fx


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
