"""The preallocated store against a forward pass without any cache, for real architectures."""

import pytest
import torch

import tiny
from specprof.engine.decoder import CausalModel
from specprof.engine.stores.dense import Store
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


PARENTS = torch.tensor([-1, -1, 0, 0, 1, 2, 4, 3])
PATHS = [[0], [1], [0, 2], [0, 3], [1, 4], [0, 2, 5], [1, 4, 6], [0, 3, 7]]


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_every_node_of_a_tree_answers_as_its_own_path_would(kind):
    """In one feed or level by level, and past the window of models that slide."""
    made = tiny.model(kind)
    chain, nodes = TOKENS[:40], TOKENS[40:48]
    whole, apart = decoder(made), decoder(made)
    for each in (whole, apart):
        each.prefill(chain.tolist())
    answers = whole.feed(nodes, PARENTS)
    halves = [apart.feed(nodes[:2], PARENTS[:2]), apart.feed(nodes[2:], PARENTS[2:])]
    assert torch.allclose(torch.cat(halves), answers, atol=2e-4)
    for node, line in enumerate(PATHS):
        with torch.inference_mode():
            plain = made(torch.cat([chain, nodes[line]])[None], use_cache=False).logits[0, -1]
        assert torch.allclose(answers[node], plain, atol=2e-4)


@pytest.mark.parametrize("branch", [[], [0], [1, 4, 6], [0, 3]])
def test_a_kept_branch_is_as_if_only_it_had_been_fed(branch):
    """Its rows move together bit for bit; what follows answers as after the bare tokens."""
    made = tiny.model("llama")
    fast = decoder(made)
    fast.prefill(TOKENS[:20].tolist())
    fast.feed(TOKENS[40:48], PARENTS)
    kept = [fast.store.layers[1].keys[:, :, 20 + node].clone() for node in branch]
    fast.keep(branch)
    assert fast.length == 20 + len(branch)
    for place, row in enumerate(kept):
        assert torch.equal(fast.store.layers[1].keys[:, :, 20 + place], row)
    text = torch.cat([TOKENS[:20], TOKENS[40:48][branch], TOKENS[50:53]])
    with torch.inference_mode():
        plain = made(text[None], use_cache=False).logits[0, -3:]
    assert torch.allclose(fast.feed(TOKENS[50:53]), plain, atol=2e-4)


def test_a_rollback_forgets_the_tree():
    """The chain is as it was, and the next feed is a chain again."""
    made = tiny.model("llama")
    fast = decoder(made)
    fast.prefill(TOKENS[:20].tolist())
    fast.feed(TOKENS[40:48], PARENTS)
    with pytest.raises(SpecprofError, match="20 tokens back to 21"):
        fast.rollback(21)
    fast.rollback(20)
    with pytest.raises(SpecprofError, match="no tree"):
        fast.keep([0])
    with torch.inference_mode():
        plain = made(TOKENS[None, :25], use_cache=False).logits[0, 20:]
    assert torch.allclose(fast.feed(TOKENS[20:25]), plain, atol=2e-4)
