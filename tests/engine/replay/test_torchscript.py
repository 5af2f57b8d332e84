"""Scripts replay a window too, and serve every decoder of a model, however much that can hold."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch

import tiny
from replays import CPU, UNSLIDING, feed_all, tokens
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import choose_path
from specprof.engine.replay import torchscript
from specprof.engine.replay.model import ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import Store
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore


def replaying(model, store, path="auto"):
    """Return a decoder of `model` over `store` that replays scripts."""
    forwards = replace(choose_path(model, path), recorder=TorchScripts)
    return ReplayedModel(model, store, CPU, forwards=forwards)


def windowed(model, sinks, block):
    """Return a store of a few sinks and a window of 24 tokens."""
    window = Window(sinks=sinks, recent=24, block=block)
    return WindowStore(rotations(model), window, 400, reach=16, rows=90)


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize("kind", UNSLIDING)
@pytest.mark.parametrize(("sinks", "block"), [(4, 1), (0, 1), (3, 7)])
def test_a_window_is_replayed(kind, path, sinks, block):
    """Before anything is evicted and after, as rows move and sinks are turned on; rolled back."""
    model = tiny.model(kind)
    replayed = replaying(model, windowed(model, sinks, block), path)
    eager = CausalModel(
        model, windowed(model, sinks, block), CPU, forwards=choose_path(model, path)
    )
    decoders = replayed, eager
    for decoder in decoders:
        decoder.prefill(tokens(0, 12).tolist())
    states = set()
    for number in range(60):
        count = (1, 4, 2)[number % 3]
        replayed.record_widths([count])
        states.add(replayed.recordings.key(count))
        ours, theirs = feed_all(decoders, tokens(number, count))
        torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)
        for decoder in decoders:
            decoder.rollback(decoder.length - count // 2)
    assert not replayed.missed
    assert states == {(count, state) for count in (1, 2, 4) for state in ("chain", "window")}
    assert replayed.store.dropped == eager.store.dropped > 0


def test_tokens_that_become_sinks_are_not_replayed():
    """The store takes the sinks' originals from the rows while they are being filled."""
    model = tiny.model("llama")
    decoder = replaying(model, windowed(model, 4, 1))
    decoder.prefill([1, 2])
    assert decoder.recordings.key(1) is None
    decoder.prefill([3, 4])
    assert decoder.recordings.key(1) == (1, "chain")


def test_decoders_of_a_model_share_their_scripts(monkeypatch):
    """Each over rows of its own, dense or in a window; one that holds more makes longer tables."""
    model = tiny.model("qwen3")
    made = []
    rightly = torchscript.trace

    def counted(*given):
        made.append(given)
        return rightly(*given)

    monkeypatch.setattr(torchscript, "trace", counted)
    layers = model.config.num_hidden_layers
    first, second = replaying(model, Store(layers, 40)), replaying(model, Store(layers, 90))
    for decoder in (first, second):
        decoder.prefill(tokens(0, 10).tolist())
        decoder.record_widths([1])
    assert len(made) == 1
    assert torch.equal(*feed_all((first, second), tokens(1, 1)))
    assert torch.equal(*feed_all((first, second), tokens(2, 1)))
    longer = replaying(model, Store(layers, 3 * torchscript.MIN_TABLE_POSITIONS))
    longer.prefill(tokens(0, 12).tolist())
    longer.record_widths([1])
    assert len(made) == 2
    assert not longer.missed


def test_a_script_reaches_the_end_of_a_long_store():
    """Its tables of angles and masks were made for all of it."""
    model = tiny.model("gpt_neox", max_position_embeddings=4096)
    layers, length = model.config.num_hidden_layers, 2 * torchscript.MIN_TABLE_POSITIONS + 50
    decoders = (
        replaying(model, Store(layers, length)),
        CausalModel(model, Store(layers, length), CPU, forwards=choose_path(model, "auto")),
    )
    replayed, _ = decoders
    for decoder in decoders:
        decoder.prefill(tokens(0, 20).tolist())
    replayed.record_widths([1, 4])
    for decoder in decoders:
        decoder.prefill(tokens(1, length - 30).tolist())
    for count in (4, 1, 4, 1):
        ours, theirs = feed_all(decoders, tokens(count, count))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    assert not replayed.missed
    assert replayed.length == length


@pytest.mark.parametrize("path", ["flat", "modules"])
def test_a_script_goes_with_its_model(path):
    """A sweep that makes a model for every run, as layer-skip does, holds none but the last."""
    model = tiny.model("llama")
    decoder = replaying(model, Store(model.config.num_hidden_layers, 40), path)
    decoder.prefill([1, 2, 3])
    decoder.record_widths([1, 2])
    weights = [weakref.ref(each.untyped_storage()) for each in model.parameters()]
    gone = weakref.ref(model)
    del model, decoder
    gc.collect()
    assert gone() is None
    assert not any(each() for each in weights)
