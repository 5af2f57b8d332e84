"""The flat decoder gives the module's logits, over every store, for everything it claims."""

import pytest
import torch
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

import tiny
from specprof.engine.batch import SharedModel
from specprof.engine.decoder import CausalModel, Forwards
from specprof.engine.features import Features, catching_states
from specprof.engine.flat.decoder import Flat, _attention
from specprof.engine.flat.parts import Heads
from specprof.engine.flat.read import READERS, parts
from specprof.engine.stores.dense import Store
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore

CPU = torch.device("cpu")
TOKENS = torch.randint(tiny.VOCABULARY, (120,), generator=torch.Generator().manual_seed(1))
VARIANTS = {
    "neox, one after the other": ("gpt_neox", {"use_parallel_residual": False}),
    "neox, no biases": ("gpt_neox", {"attention_bias": False}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, every head its own keys": ("llama", {"num_key_value_heads": 4}),
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "llama, yarn": (
        "llama",
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "llama, linear": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "mistral, nothing slides": ("mistral", {"sliding_window": None}),
    "qwen2, later layers slide": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": 1},
    ),
}
CASES = {kind: (kind, {}) for kind in tiny.ARCHITECTURES} | VARIANTS


def made(name, dtype=torch.float32):
    kind, changed = CASES[name]
    return tiny.model(kind, **changed).to(dtype)


def opened(model, compute, store=None):
    layers = model.config.get_text_config().num_hidden_layers
    store = store or Store(layers, len(TOKENS))
    return CausalModel(model, store, CPU, forwards=Forwards(path="flat", compute=compute))


def told(decoder):
    """Return the logits of all a decoder is asked in its life, row by row."""
    found = [decoder.feed(TOKENS[:40])]
    found += [decoder.feed(TOKENS[at : at + 1]) for at in range(40, 44)]
    found.append(decoder.feed(TOKENS[44:49]))
    decoder.rollback(46)
    found.append(decoder.feed(TOKENS[46:80]))
    found.append(decoder.feed(TOKENS[80:84], torch.tensor([-1, -1, 0, 2])))
    decoder.keep([0, 2])
    found.append(decoder.feed(TOKENS[84:87]))
    return torch.cat(found)


def off(ours, theirs):
    """Return the largest difference, as a share of the logits' spread."""
    return float((ours - theirs).abs().max() / theirs.std())


@pytest.mark.parametrize("name", CASES)
def test_every_architecture_gives_its_modules_logits(name):
    """Prefill, steps, a rollback and a tree, past every sliding window there is."""
    model = made(name)
    assert off(told(opened(model, Flat(model, parts(model)))), told(opened(model, model))) < 1e-5


def test_every_architecture_it_claims_is_tried():
    """A reader without a case here would be a claim without a proof."""
    assert {type(made(name)).__name__ for name in CASES} == set(READERS)


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_half_precision_is_off_by_its_rounding_alone(name):
    """Of the exact logits it is no further off than the module is."""
    exact, rounded = made(name), made(name, torch.bfloat16)
    truth = told(opened(exact, exact))
    flat = told(opened(rounded, Flat(rounded, parts(rounded))))
    theirs = told(opened(rounded, rounded))
    assert (flat - truth).square().mean() < 1.3 * (theirs - truth).square().mean()


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "gemma3_text"])
def test_a_streaming_cache_serves_it_as_well(name):
    """Sinks turned, a window that moves on within a feed, and masks of its own."""
    model = made(name)

    def answers(compute):
        store = WindowStore(rotations(model), Window(2, 20, 3), 120, reach=40, rows=120)
        return told(opened(model, compute, store))

    assert off(answers(Flat(model, parts(model))), answers(model)) < 1e-5


@pytest.mark.parametrize("name", ["gpt_neox", "qwen3", "mistral"])
def test_a_batch_is_one_forward(name):
    """Sequences of unlike lengths, as their own modules answer them."""
    model = made(name)
    layers = model.config.num_hidden_layers
    starts, fed = (9, 30, 17), (1, 4, 2)

    def answers(compute):
        stores = [Store(layers, 60) for _ in starts]
        forwards = Forwards(path="flat", compute=compute)
        table = SharedModel(model, stores, CPU, forwards=forwards)
        for seat, start in zip(table.decoders, starts, strict=True):
            seat.prefill(TOKENS[:start].tolist())
        asked = {
            number: type("Asked", (), {"tokens": TOKENS[50 : 50 + count], "parents": None})()
            for number, count in enumerate(fed)
        }
        found = table.answer(asked)
        return torch.cat([found[number] for number in sorted(found)])

    assert off(answers(Flat(model, parts(model))), answers(model)) < 1e-5


@pytest.mark.parametrize("mask", [None, "chain", "each its own", "by name"])
@pytest.mark.parametrize("count", [1, 4])
def test_shared_keys_are_read_once_and_mean_the_same(count, mask):
    """Queries that share a key as rows of one head, against every head with keys of its own."""
    drawn = torch.Generator().manual_seed(count)
    queries = torch.randn(2, 6, count, 8, generator=drawn)
    keys, values = torch.randn(2, 2, 2, 11, 8, generator=drawn)
    hidden = torch.ones(count, 11, dtype=torch.bool).triu(11 - count + 1)
    given = full = None
    if mask == "by name":
        given, full = causal_lower_right(count, 11), hidden.logical_not()
    elif mask == "chain":
        given = full = torch.zeros(count, 11).masked_fill(hidden, torch.finfo(torch.float32).min)
    elif mask == "each its own":
        given = full = torch.randn(2, 1, count, 11, generator=drawn)
    heads = Heads(
        queries=6, keys=2, size=8, together=False, scale=0.3, norm=None, window=None, kind=""
    )
    found = _attention(heads, queries, keys, values, given)
    copies = (each.repeat_interleave(3, 1) for each in (keys, values))
    wanted = scaled_dot_product_attention(queries, *copies, full, scale=0.3)
    torch.testing.assert_close(found, wanted.transpose(1, 2).flatten(2))


def test_an_outgrown_table_is_kept():
    """What was recorded with it goes on reading it."""
    flat = Flat(made("llama"), parts(made("llama")))
    flat.reserve(10, CPU)
    first = dict(flat._tables)
    flat.reserve(10, CPU)
    assert all(flat._tables[kind] is table for kind, table in first.items())
    flat.reserve(5000, CPU)
    assert all(flat._tables[kind].shape[0] >= 5000 for kind in first)
    assert [id(each) for each in flat._outgrown] == [id(each) for each in first.values()]


def test_tables_grow_with_the_text():
    """Beyond the room they were made with, and back in a shorter text."""
    model = made("mistral")
    flat, long = Flat(model, parts(model)), TOKENS.repeat(12)
    layers = model.config.num_hidden_layers
    ours = opened(model, flat, Store(layers, len(long))).feed(long)
    theirs = CausalModel(model, Store(layers, len(long)), CPU).feed(long)
    assert off(ours, theirs) < 1e-5
    assert off(told(opened(model, flat)), told(opened(model, model))) < 1e-5


def test_who_listens_at_a_layer_hears_what_the_module_would_say():
    """Hidden states of a middle layer, of what leaves the last, and of the last norm."""
    model = made("llama")
    layers = model.model.layers
    taps = [(layers[1], True), (layers[-1], False), (model.model.norm, False)]
    heard = []
    for compute in (Flat(model, parts(model)), model):
        with catching_states(taps) as states:
            opened(model, compute).feed(TOKENS[:12])
        heard.append(torch.cat([each for each in states if each is not None], -1))
    assert heard[0].shape == (1, 12, 96)
    assert off(*heard) < 1e-5


def test_prefill_keeps_every_tokens_states_for_a_head():
    """Logits of the last row only, states of all."""
    model = made("llama")
    decoder = opened(model, Flat(model, parts(model)))
    decoder.features = Features([(model.model.norm, False)], 64)
    decoder.prefill(TOKENS[:20].tolist())
    with catching_states([(model.model.norm, False)]) as states:
        model(TOKENS[None, :20])
    assert states[0] is not None
    assert off(decoder.features.rows(0, 20), states[0][0]) < 1e-5
