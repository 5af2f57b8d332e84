"""Scored text against a plain forward's cross entropy, whatever the step and the cache."""

import pytest
import torch

import tiny
from specprof.engine.decoder import CausalModel
from specprof.engine.instruments.stopwatch import HostClock, Stopwatch
from specprof.engine.known_text.perplexity import score
from specprof.engine.recheck.reference import Windowed
from specprof.engine.stores.dense import Store
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore

CPU = torch.device("cpu")
TOKENS = torch.randint(1, 96, (90,), generator=torch.Generator().manual_seed(3)).tolist()
MODEL = tiny.model("llama")
WINDOW = Window(3, 20, 4)


def scored(store, step):
    target = CausalModel(MODEL, store, CPU)
    return list(score(target, TOKENS, step=step, watch=Stopwatch(HostClock()), origin_ns=0))


@torch.inference_mode()
def entropy(model):
    tokens = torch.tensor(TOKENS)
    logits = model(tokens[None], use_cache=False).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none")


@pytest.mark.parametrize("step", [1, 7, 64, 200])
def test_it_is_the_cross_entropy_of_a_plain_forward(step):
    """Every token but the first, in order, to the digits the capture keeps."""
    passes = scored(Store(3, 100), step)
    nll = torch.tensor([each for one in passes for each in one.nll])
    assert torch.allclose(nll, entropy(MODEL), rtol=1e-4, atol=1e-5)
    assert [one.context for one in passes] == list(range(1, 90, step))
    assert [len(one.nll) for one in passes][:-1] == [step] * (len(passes) - 1)
    assert [one.target_length for one in passes] == [
        one.context + len(one.nll) - 1 for one in passes
    ]
    assert passes[-1].target_length == 89
    assert all(one.wall_ns > 0 and one.target_evicted is None for one in passes)


@pytest.mark.parametrize("step", [1, 7, 64])
def test_a_streaming_cache_is_scored_as_token_by_token(step):
    """Each token by what its own window held, though the forward took many."""
    passes = scored(WindowStore(rotations(MODEL), WINDOW, 100, reach=0, rows=100), step)
    nll = torch.tensor([each for one in passes for each in one.nll])
    plain = Windowed(MODEL, rotations(MODEL), WINDOW)
    assert torch.allclose(nll, entropy(plain), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(nll, entropy(MODEL), atol=0.01)
    assert passes[-1].target_evicted == WINDOW.evicted(89)
    assert passes[-1].target_kv_bytes == (89 - WINDOW.evicted(89)) * 2 * 3 * 2 * 8 * 4


def test_a_single_token_has_nothing_to_be_scored_by():
    """No forward is made for it."""
    target = CausalModel(MODEL, Store(3, 8), CPU)
    assert list(score(target, [5], step=4, watch=Stopwatch(HostClock()), origin_ns=0)) == []
    assert target.forwards == 0
