"""Projections: the same numbers however they lie in memory, and added to what they belong to."""

import pytest
import torch

import tiny
from specprof.engine.flat.parts import Linear, transposed
from specprof.engine.flat.read import parts

ROWS = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
WEIGHT = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
BASE = torch.ones(5, 4, dtype=torch.float64)


@pytest.mark.parametrize("bias", [None, torch.arange(4.0, dtype=torch.float64)])
def test_a_projection_is_its_modules(bias):
    """With and without a bias, by itself and added to something, as it lies and turned."""
    wanted = torch.nn.functional.linear(ROWS, WEIGHT, bias)
    for one in (Linear(WEIGHT, bias), Linear(WEIGHT, bias).transposed()):
        torch.testing.assert_close(one(ROWS), wanted)
        torch.testing.assert_close(one.onto(BASE, ROWS), wanted + 1)


def test_turned_weights_are_copies_laid_out_by_columns():
    """The model's own stay where and as they are."""
    model = tiny.model("llama")
    read = parts(model)
    other = transposed(read)
    for before, after in zip(read.blocks, other.blocks, strict=True):
        assert after.into_mlp.weight.t().is_contiguous()
        assert before.into_mlp.weight.is_contiguous()
        assert torch.equal(after.into_mlp.weight, before.into_mlp.weight)
        assert after.into_mlp.weight.data_ptr() != before.into_mlp.weight.data_ptr()
    assert torch.equal(other.head.weight, read.head.weight)
    assert other.embed is read.embed
