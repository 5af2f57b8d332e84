"""The streaming store against plain forwards, however it is fed, rolled back and branched."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from engines import decode, loop
from specprof.engine.decoder import CausalModel
from specprof.engine.recheck.reference import Windowed
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore
from specprof.errors import SpecprofError

CPU = torch.device("cpu")
TOKENS = torch.randint(1, tiny.VOCABULARY, (120,), generator=torch.Generator().manual_seed(4))
ROPE = {"rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
SCALED = {
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": ROPE | {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "yarn": ROPE | {"rope_type": "yarn"},
}
CASES = {
    **{kind: (kind, {}) for kind in tiny.ARCHITECTURES},
    "mistral-wide": ("mistral", {"sliding_window": 64}),
    "gemma3-full": ("gemma3_text", {"layer_types": ["full_attention"] * 3}),
    **{
        f"llama-{name}": ("llama", {"rope_parameters": given, "max_position_embeddings": 512})
        for name, given in SCALED.items()
    },
}
each_case = pytest.mark.parametrize(("kind", "changed"), CASES.values(), ids=CASES)
WINDOW = Window(sinks=3, recent=20, block=4)
MODEL = tiny.model("llama", num_hidden_layers=2)


def decoder(made, window=WINDOW, *, capacity=400, reach=20, room=60):
    rows = min(capacity, window.widest + reach + room)
    store = WindowStore(rotations(made), window, capacity, reach=reach, rows=rows)
    return CausalModel(made, store, CPU)


@torch.inference_mode()
def reference(made, tokens, window=WINDOW):
    return Windowed(made, rotations(made), window)(tokens[None], use_cache=False).logits[0]


def seen(position, window):
    """The tokens a position sees, written out: the sinks, the window, itself."""
    evicted = 0
    while position - window.sinks - evicted >= window.recent + window.block:
        evicted += window.block
    sinks = range(min(window.sinks, position + 1))
    return [*sinks, *range(window.sinks + evicted, position + 1)]


@each_case
def test_one_layer_is_a_plain_forward_over_what_is_kept(kind, changed):
    """Of one layer, StreamingLLM is transformers' own forward over sinks and window from 0 on."""
    layers = {key: value[:1] for key, value in changed.items() if key == "layer_types"}
    made = tiny.model(kind, **(changed | layers | {"num_hidden_layers": 1}))
    for window in (WINDOW, Window(4, 16), Window(0, 12, 3)):
        found = decoder(made, window, room=120).feed(TOKENS)
        for position in (2, 15, 16, 22, 23, 30, 31, 64, 119):
            kept = TOKENS[seen(position, window)]
            with torch.inference_mode():
                plain = made(kept[None], use_cache=False).logits[0, -1]
            assert torch.allclose(found[position], plain, atol=2e-4), (window, position)


@each_case
def test_chunks_don_t_matter(kind, changed):
    """One token at a time, seven, or sixty: the logits are those of the cache-free reference."""
    made = tiny.model(kind, **changed)
    plain = reference(made, TOKENS)
    for chunk in (1, 7, 60):
        fast = decoder(made)
        found = [fast.feed(TOKENS[start : start + chunk]) for start in range(0, 120, chunk)]
        assert torch.allclose(torch.cat(found), plain, atol=2e-4)


def test_both_kinds_of_layers_of_gemma_3_are_turned_at_their_own_speed():
    """Full and sliding layers have their own RoPE, and the sliding ones a window of their own."""
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    made = tiny.model("gemma3_text", layer_types=kinds)
    found = rotations(made)
    assert not torch.equal(found[0].speeds, found[1].speeds)
    assert torch.equal(found[0].speeds, found[2].speeds)
    window = Window(4, 26)  # wider than the sliding layers' own 16
    fast = decoder(made, window, room=120)
    assert torch.allclose(fast.feed(TOKENS), reference(made, TOKENS, window), atol=2e-4)


def test_a_long_text_stays_exact_and_small():
    """Nothing drifts, rows and counted bytes stay as they were, evictions follow the length."""
    made = tiny.model("llama", num_hidden_layers=2)
    fast = decoder(made, capacity=10_000)
    text = torch.randint(1, 96, (3000,), generator=torch.Generator().manual_seed(1))
    for start in range(0, 2940, 60):
        fast.feed(text[start : start + 60])
        length = fast.length
        assert fast.evicted == length - len(seen(length, WINDOW)) + 1
    rows = fast.store.layers[0].keys.shape[2]
    assert rows == 3 + 20 + 3 + 20 + 60
    per_token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, head size, float32
    assert fast.kv_bytes == (len(seen(2940, WINDOW)) - 1) * per_token
    found = fast.feed(text[2940:])
    assert torch.allclose(found, reference(made, text)[2940:], atol=1e-3)


def test_no_store_is_larger_than_what_is_asked_of_it():
    """A short run over a wide window reserves the run's tokens only."""
    fast = decoder(tiny.model("llama"), Window(4, 300), capacity=50)
    fast.feed(TOKENS[:10])
    assert fast.store.layers[0].keys.shape[2] == 50
    assert fast.evicted == 0


def test_a_tree_sees_what_each_of_its_branches_would():
    """Every node of a tree fed in two levels, at a place where the window moves inside it."""
    made = tiny.model("llama")
    parents = [-1, -1, 0, 0, 1, 2, 4, 4]
    tokens = torch.tensor([5, 6, 7, 8, 9, 10, 11, 12])
    for length in (21, 22, 24, 25, 60, 61, 62, 63):
        fast = decoder(made)
        fast.prefill(TOKENS[: max(length - 60, 0)].tolist())
        fast.feed(TOKENS[fast.length : length])
        first = fast.feed(tokens[:2], torch.tensor(parents[:2]))
        rest = fast.feed(tokens[2:], torch.tensor(parents[2:]))
        found = torch.cat([first, rest])
        for node in range(8):
            path, at = [], node
            while at >= 0:
                path, at = [at, *path], parents[at]
            text = torch.cat([TOKENS[:length], tokens[path]])
            assert torch.allclose(found[node], reference(made, text)[-1], atol=2e-4)
        fast.keep([1, 4, 7])
        text = torch.cat([TOKENS[:length], tokens[[1, 4, 7]], TOKENS[:5]])
        assert torch.allclose(fast.feed(TOKENS[:5]), reference(made, text)[-5:], atol=2e-4)


@pytest.mark.parametrize("length", [1, 2])
def test_a_branch_may_become_sinks(length):
    """A tree at the very start of a text: what is kept of it is what later tokens greet."""
    fast = decoder(MODEL)
    fast.feed(TOKENS[:length])
    fast.feed(torch.tensor([7, 8, 9, 10, 11]), torch.tensor([-1, -1, 1, 1, 3]))
    fast.keep([1, 3, 4])
    fast.feed(TOKENS[:50])
    text = torch.cat([TOKENS[:length], torch.tensor([8, 10, 11]), TOKENS[:60]])
    assert torch.allclose(fast.feed(TOKENS[50:60]), reference(MODEL, text)[-10:], atol=2e-4)


chains = st.tuples(st.just("feed"), st.integers(1, 12))
back = st.tuples(st.just("back"), st.integers(1, 15))
trees = st.tuples(st.just("tree"), st.integers(0, 5))
PARENTS = torch.tensor([-1, -1, 0, 1, 1, 3])


@given(
    st.lists(st.one_of(chains, back, trees), min_size=3, max_size=25),
    st.sampled_from([Window(3, 10, 1), Window(2, 12, 5), Window(0, 8, 3)]),
    st.integers(0, 2**20),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_history_leaves_what_its_tokens_alone_would(moves, window, seed):
    """Chains, rollbacks and trees at random: the next answers are those of the text that stands."""
    fast = decoder(MODEL, window, capacity=500, reach=15 + 6, room=12)
    generator = torch.Generator().manual_seed(seed)
    text = torch.empty(0, dtype=torch.int64)
    deepest = 0
    for move, size in moves:
        if move == "feed":
            fresh = torch.randint(1, 96, (size,), generator=generator)
            found, text = fast.feed(fresh), torch.cat([text, fresh])
            assert torch.allclose(found, reference(MODEL, text, window)[-size:], atol=2e-4)
        elif move == "back":
            length = max(len(text) - size, deepest - 15, 0)
            if length <= len(text):
                fast.rollback(length)
                text = text[:length]
        else:
            fresh = torch.randint(1, 96, (6,), generator=generator)
            fast.feed(fresh, PARENTS)
            deepest = max(deepest, fast.length)
            branch, at = [], size
            while at >= 0:
                branch, at = [at, *branch], int(PARENTS[at])
            fast.keep(branch)
            text = torch.cat([text, fresh[branch]])
        deepest = max(deepest, fast.length)
        assert fast.length == len(text)
        assert fast.evicted == window.evicted(len(text))


def test_what_a_rollback_needs_is_held_and_no_more_is_promised():
    """As far back as was asked for, across moves of the rows; further is refused, all of it not."""
    fast = decoder(MODEL, room=5)
    for start in range(0, 100, 5):
        fast.feed(TOKENS[start : start + 5])
    assert fast.store.dropped > 0
    fast.rollback(80)
    assert torch.allclose(fast.feed(TOKENS[80:85]), reference(MODEL, TOKENS)[80:85], atol=2e-4)
    with pytest.raises(SpecprofError, match="holds what the last 20 need"):
        fast.rollback(30)
    fast.rollback(2)
    found = torch.cat([fast.feed(TOKENS[start : start + 5]) for start in range(2, 102, 5)])
    assert torch.allclose(found, reference(MODEL, TOKENS)[2:102], atol=2e-4)


def test_impossible_feeds_are_refused():
    """More at once than there is room for, and a tree wider than the window."""
    fast = decoder(MODEL, Window(2, 6), reach=4, room=5)
    for start in range(0, 60, 5):
        fast.feed(TOKENS[start : start + 5])
    with pytest.raises(SpecprofError, match="fed 40 tokens at once"):
        fast.feed(TOKENS[:40])
    with pytest.raises(SpecprofError, match="tree of 7 tokens doesn't fit a window of 6"):
        fast.feed(TOKENS[:7], torch.arange(-1, 6))


@pytest.mark.parametrize("shape", ["chain", "static-tree"])
@pytest.mark.parametrize("draft", ["streaming", "dense"])
def test_greedy_speculation_is_greedy_plain_decoding(shape, draft):
    """Windows wrap inside rounds, drafts are accepted and rejected, and not a token differs."""
    target, alike = tiny.model("llama", 1), tiny.model("llama", 1)
    for weight in alike.parameters():
        weight.add_(0.05 * weight.std() * torch.randn(weight.shape))
    prompt = TOKENS[:10].tolist()
    plain = loop(decoder(target))
    expected, _ = decode(plain, new_tokens=80, prompt=prompt)
    wide = Window(0, 400)
    drafts = decoder(alike, WINDOW if draft == "streaming" else wide)
    fast = loop(decoder(target), drafts, shape=shape, widths="2,2,1", depth=3)
    found, rounds = decode(fast, new_tokens=80, prompt=prompt)
    assert found == expected
    assert 0 < sum(len(one.path) for one in rounds) < sum(len(one.drafted) for one in rounds)
    assert rounds[-1].target_evicted > 50
    assert any(one.drafted and not one.path for one in rounds)
