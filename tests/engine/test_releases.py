"""Names that differ among releases of transformers are looked up, and asked for by the newest."""

import inspect
import logging
import warnings

import pytest
import torch
from transformers import DynamicCache, GenerationMixin

import tiny
from specprof.engine import releases
from specprof.engine.flat.decoder import Flat
from specprof.engine.flat.proof import choose_path
from specprof.engine.releases import GENERATE_CACHE, with_cache
from specprof.engine.stores.dense import PreallocatedLayer, Store

OURS = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
TOKENS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def remarks(monkeypatch):
    """What transformers' own logger was given to say in the test, each time and not only once."""
    said = []
    for name in ("warning", "warning_once"):
        monkeypatch.setattr(logging.Logger, name, lambda _, *given: said.append(given))
    return said


class Old(torch.nn.Module):
    """A model whose own code was written before the name changed."""

    def forward(self, input_ids, past_key_values=None, **rest):
        return past_key_values


class New(torch.nn.Module):
    """One that takes the old name too, and complains of it."""

    def forward(self, input_ids, past_key_values=None, cache=None):
        assert past_key_values is None
        return cache


class Passing(torch.nn.Module):
    """One around another, which passes on whatever it is given."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, input_ids, **rest):
        return self.inner(input_ids, **rest)


@pytest.mark.parametrize("kind", [Old, New])
def test_a_model_is_given_its_cache_by_its_own_name_for_it(kind):
    """By its newest name, whatever transformers' own models call it."""
    model, cache = kind(), object()
    assert model(TOKENS, **with_cache(model, cache)) is cache


def test_what_passes_all_on_is_asked_as_transformers_models_are():
    """What is within it is one of those."""
    model = tiny.model("llama")
    cache = DynamicCache(config=model.config)
    outer = Passing(model)
    with torch.no_grad():
        outer(TOKENS, **with_cache(outer, cache), use_cache=True)
    assert cache.get_seq_length() == 3


def test_a_function_is_asked_as_transformers_models_are():
    """A stand-in may be one."""
    assert with_cache(lambda *_, **__: None, 5) == {GENERATE_CACHE: 5}


def test_generate_takes_a_cache_by_the_name_this_release_has():
    """And no other of the known names is newer."""
    known = [name for name in releases.CACHE_NAMES if name in OURS]
    assert known[0] == GENERATE_CACHE


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_no_forward_over_our_store_calls_anything_deprecated(kind, remarks):
    """By neither path: warnings are errors, and transformers' logger says nothing."""
    model = tiny.model(kind)
    layers = model.config.get_text_config().num_hidden_layers
    for runs in (model, choose_path(model, "auto").compute):
        store = Store(layers, 8)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("error")
            out = runs(
                TOKENS,
                position_ids=torch.arange(3)[None],
                **with_cache(runs, store),
                use_cache=True,
                logits_to_keep=0,
            )
        assert out.logits.shape[:2] == (1, 3)
        assert not remarks


def test_whatever_attention_passes_on_a_layer_is_given_rows_alone():
    """A layer, and what stands in for one, knows of keys and values only."""
    store = Store(2, 4)
    rows = torch.ones(1, 1, 2, 3)
    given = []
    store.layers[1].update = lambda *all_of_it, **named: given.append((all_of_it, named))
    store.update(rows, rows, 1, {"sin": 1}, kwargs={"a": 2}, sin=3)
    ((taken, named),) = given
    assert [taken[0] is rows, taken[1] is rows, len(taken), named] == [True, True, 2, {}]


def test_what_a_release_adds_to_a_layers_duties_ends_no_run(monkeypatch):
    """Its abstract methods can't keep a store from being made."""
    assert not inspect.isabstract(PreallocatedLayer)

    class Later(releases.LayerForm):
        """As a layer would be whose base had got one more."""

    assert not inspect.isabstract(Later)
    assert Store(1, 4).layers[0].get_mask_sizes(2) == (2, 0)


def test_the_flat_decoder_takes_the_newest_name():
    """It is asked by the same lookup as a module."""
    flat = choose_path(tiny.model("llama"), "flat").compute
    assert isinstance(flat, Flat)
    assert with_cache(flat, 5) == {releases.CACHE_NAMES[0]: 5}
