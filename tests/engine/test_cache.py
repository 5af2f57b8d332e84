"""The preallocated store against a forward pass without any cache, for real architectures."""

import pytest
import torch

import tiny
from specprof.engine.cache import Store
from specprof.engine.decoder import CausalModel
from specprof.errors import SpecprofError

CPU = torch.device("cpu")
TOKENS = torch.randint(1, tiny.VOCABULARY, (60,), generator=torch.Generator().manual_seed(4))


def decoder(made, capacity=64):
    return CausalModel(made, Store(made.config.num_hidden_layers, capacity), CPU)


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_cached_logits_equal_a_cache_free_forward_after_any_rollback(kind):
    """Feeding, rolling back and feeding other tokens leaves no trace, past the window too."""
    made = tiny.model(kind)
    fast = decoder(made)
    fast.prefill(TOKENS[:10].tolist())
    fast.feed(TOKENS[30:35])  # will be rejected
    fast.rollback(12)
    fast.rollback(10)
    found = [fast.feed(TOKENS[10:11])]
    for start in range(11, 60, 7):
        fast.feed(torch.arange(1, 6))
        fast.rollback(start)
        found.append(fast.feed(TOKENS[start : start + 7]))
    with torch.inference_mode():
        plain = made(TOKENS[None], use_cache=False).logits[0, 10:]
    assert torch.allclose(torch.cat(found), plain, atol=2e-4)


def test_rolling_back_costs_no_copy_and_the_bytes_follow_the_length():
    """The rows stay where they are; the counted bytes are tokens times the formula's."""
    fast = decoder(tiny.model("llama"))
    assert fast.kv_bytes == 0
    fast.feed(TOKENS[:20])
    where = fast.store.layers[0].keys.data_ptr()
    per_token = 2 * 3 * 2 * 8 * 4  # keys and values, layers, heads, head size, float32
    assert fast.kv_bytes == 20 * per_token
    fast.rollback(5)
    assert fast.kv_bytes == 5 * per_token
    assert fast.store.layers[0].keys.data_ptr() == where


def test_impossible_lengths_are_refused():
    """Neither more tokens than were fed nor more than fit."""
    fast = decoder(tiny.model("llama"), capacity=8)
    fast.feed(TOKENS[:6])
    with pytest.raises(SpecprofError, match="6 tokens back to 7"):
        fast.rollback(7)
    with pytest.raises(SpecprofError, match="holds 8 tokens; 9"):
        fast.feed(TOKENS[:3])
