"""A round waits for the device once, whatever it is made of: to learn how it ended.

There is no device here, so what would wait for one is watched for: a tensor made of a list, a
number read. On a GPU each would let the device run dry in the middle of a round.
"""

import sys

import msgspec
import pytest
import torch
from torch.overrides import TorchFunctionMode

import proofs
from specprof.engine.setup.wiring import wire

WAITS = {
    torch.tensor,
    torch.Tensor.new_tensor,
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.cpu,
    torch.Tensor.nonzero,
    torch.Tensor.__bool__,
    torch.Tensor.__int__,
    torch.Tensor.__float__,
}


class Waits(TorchFunctionMode):
    """Notes which function of specprof's asked for what would wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        caller = sys._getframe(1)
        if function in WAITS and "specprof" in caller.f_globals.get("__name__", ""):
            self.seen.append(caller.f_code.co_name)
        return function(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("family"))


@pytest.mark.parametrize("cache", ["dense", "sink-window", "quantised"])
@pytest.mark.parametrize("shape", ["chain", "static-tree", "dynamic-tree"])
@pytest.mark.parametrize("drafter", ["draft-model", "eagle"])
def test_a_round_waits_once(family, drafter, shape, cache):
    """Rejections, branches that move rows, a window that turns over: one read a round."""
    cell = {"drafter": drafter, "shape": shape, "cache": cache}
    asked = proofs.asked(cell, family, temperature=1.0)
    run = wire(msgspec.structs.replace(asked, graphs="off"))  # scripts are a CPU's own
    committed = list(run.tokens[: proofs.CONTEXT])
    run.loop.target.prefill(committed[:-1])
    run.loop.drafter.prefill(committed)
    with Waits() as waits:
        rounds = list(run.loop.rounds(committed, new_tokens=40, stop=frozenset()))
    assert shape == "chain" or any(one.path != list(range(len(one.path))) for one in rounds)
    assert set(waits.seen) == {"on_device", "_to_host"}
    assert waits.seen.count("_to_host") == len(rounds)
