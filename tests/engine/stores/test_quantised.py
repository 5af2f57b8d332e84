"""The 8-bit store: its error is bounded, its rows once written never change."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from engines import decode, loop
from specprof.engine.decoder import CausalModel
from specprof.engine.recheck.reference import Rounded
from specprof.engine.stores.dense import Store
from specprof.engine.stores.quantised import QuantisedStore, dequantise, quantise

CPU = torch.device("cpu")
TOKENS = torch.randint(1, tiny.VOCABULARY, (60,), generator=torch.Generator().manual_seed(4))


def decoder(made):
    return CausalModel(made, QuantisedStore(made.config.num_hidden_layers, 100), CPU)


@torch.inference_mode()
def reference(made, tokens):
    return Rounded(made)(tokens[None], use_cache=False).logits[0]


@given(st.integers(0, 2**32), st.floats(-30, 30), st.sampled_from([1, 2, 16, 64]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_number_moves_by_more_than_half_a_step(seed, power, size):
    """Whatever the row's size; its largest number stays, zeros stay, rounding twice is once."""
    states = torch.randn(3, 5, size, generator=torch.Generator().manual_seed(seed)) * 10**power
    states[0] = 0
    steps, scale = quantise(states)
    found = dequantise(steps, scale, torch.float32)
    largest = states.abs().amax(-1, keepdim=True)
    assert torch.all((found - states).abs() <= largest / 254 * 1.0001)
    assert torch.allclose(found.abs().amax(-1, keepdim=True), largest, rtol=1e-5)
    assert not found[0].any()
    assert torch.equal(quantise(found)[0], steps)


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_it_is_the_model_with_rounded_keys_and_values_after_any_rollback(kind):
    """In chunks, after rejected tokens and after trees: the same law, and near the dense one."""
    made = tiny.model(kind)
    fast = decoder(made)
    fast.prefill(TOKENS[:10].tolist())
    found = []
    for start in range(10, 60, 10):
        fast.feed(torch.arange(1, 6))  # will be rejected
        fast.rollback(start)
        branch = torch.stack([torch.tensor(1), TOKENS[start], TOKENS[start + 1]])
        found.append(fast.feed(branch, torch.tensor([-1, -1, 1]))[1:])
        with torch.inference_mode():
            fast.keep([1, 2])
        found.append(fast.feed(TOKENS[start + 2 : start + 10]))
    plain = reference(made, TOKENS)[10:]
    # A number on the edge between two steps may fall to either side in another kernel.
    assert (torch.cat(found) - plain).abs().mean() < 2e-3
    with torch.inference_mode():
        dense = made(TOKENS[None], use_cache=False).logits[0, 10:]
    assert 1e-4 < (torch.cat(found) - dense).abs().mean() < 0.2


def test_rows_written_once_stay_bit_for_bit():
    """Feeding on and rolling back changes nothing of what stands before."""
    fast = decoder(tiny.model("llama"))
    fast.feed(TOKENS[:20])
    layer = fast.store.layers[1]
    before = [each[:, :, :12].clone() for each in (layer.keys, layer.key_scales, layer.values)]
    fast.feed(TOKENS[20:40])
    fast.rollback(12)
    fast.feed(TOKENS[:8])
    after = [each[:, :, :12] for each in (layer.keys, layer.key_scales, layer.values)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_bytes_are_those_held():
    """One byte a number and four a row and head, against four a number in the dense store."""
    made = tiny.model("llama")
    fast, dense = decoder(made), CausalModel(made, Store(3, 100), CPU)
    for each in (fast, dense):
        each.feed(TOKENS[:20])
    assert dense.kv_bytes == 20 * 2 * 3 * 2 * 8 * 4
    assert fast.kv_bytes == 20 * 2 * 3 * 2 * (8 + 4)


def test_greedy_speculation_is_greedy_plain_decoding():
    """Over a rounded cache as over any other."""
    target = tiny.model("llama", 1)
    prompt = TOKENS[:10].tolist()
    expected, _ = decode(loop(decoder(target)), new_tokens=40, prompt=prompt)
    fast = loop(decoder(target), decoder(tiny.model("llama", 2)), depth=3)
    found, _ = decode(fast, new_tokens=40, prompt=prompt)
    assert found == expected
