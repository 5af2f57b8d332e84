"""Early exit: the same as a model of so many layers, with the target's own weights."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

import engines
import tiny
from specprof.caches.dense import Dense
from specprof.drafters.layer_skip import LayerSkip, first_layers
from specprof.engine.decoder import CausalModel
from specprof.engine.setup.loading import Loaded, facts_of
from specprof.errors import UsageError
from specprof.settings import Settings

CPU = torch.device("cpu")
LAYERS = 8
MIXED = {"gemma3_text": {"layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 2}}


def whole(kind="llama", **changed):
    shape = {"num_hidden_layers": LAYERS} | MIXED.get(kind, {}) | changed
    return tiny.model(kind, **shape)


def decoder(model):
    return CausalModel(model, Dense(Settings()).open(model, 200), CPU)


def loaded(model):
    return Loaded(model, None, facts_of("tiny", model))


def shallow(model, count):
    """A model made with so few layers, given the weights by copying them."""
    config = model.config.to_dict() | {"num_hidden_layers": count}
    if config.get("layer_types"):
        config["layer_types"] = config["layer_types"][:count]
    made = AutoModelForCausalLM.from_config(type(model.config)(**config)).eval()
    missing, _ = made.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    return made


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
@pytest.mark.parametrize("count", [2, 5])
def test_it_is_the_model_of_its_first_layers(kind, count):
    """Logits of a prompt longer than any window, of single steps and of a tree are the same."""
    model = whole(kind)
    ours, theirs = decoder(first_layers(model, count)), decoder(shallow(model, count))
    text = torch.arange(60) % tiny.VOCABULARY
    tree, parents = torch.tensor([4, 9, 5, 6]), torch.tensor([-1, -1, 0, 2])
    for fed in ((text[:50],), (text[50:51],), (text[51:],), (tree, parents)):
        assert torch.equal(ours.feed(*fed), theirs.feed(*fed))
    assert ours.kv_bytes == theirs.kv_bytes


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_the_target_is_left_as_it_was(kind):
    """The cut shares every parameter, adds none, and changes nothing of the whole."""
    model = whole(kind)
    before = decoder(model).feed(torch.arange(30))
    cut = first_layers(model, 3)
    shared = {id(weight) for weight in model.parameters()}
    assert {id(weight) for weight in cut.parameters()} < shared
    assert torch.equal(decoder(model).feed(torch.arange(30)), before)
    assert (model.config.num_hidden_layers, cut.config.num_hidden_layers) == (LAYERS, 3)


def test_a_quarter_of_the_layers_draft_unless_told_otherwise():
    """The facts are those of what is used: layers, parameters, bytes a token in the cache."""
    model = whole()
    target = loaded(model)
    draft = LayerSkip.load(Settings(), target)
    assert draft.facts == facts_of("tiny, first 2 of 8 layers", shallow(model, 2))
    assert draft.facts.kv_bytes_per_token * 4 == target.facts.kv_bytes_per_token
    assert LayerSkip.load(Settings(exit_layer=7), target).facts.layers == 7


@pytest.mark.parametrize("asked", [8, 30])
def test_an_exit_beyond_the_layers_is_refused(asked):
    """The message has what was asked, what was found and what to give."""
    with pytest.raises(UsageError, match=rf"(?s)after layer {asked}.*from 1 to 7"):
        LayerSkip.load(Settings(exit_layer=asked), loaded(whole()))


def test_a_model_of_one_layer_has_no_exit():
    """Its only layer is the whole of it."""
    with pytest.raises(UsageError, match="use drafter self"):
        LayerSkip.load(Settings(), loaded(whole(num_hidden_layers=1)))


def test_a_model_without_a_list_of_layers_is_refused():
    """Rather than guessed at."""
    odd = torch.nn.Linear(2, 2)
    odd.config = SimpleNamespace(num_hidden_layers=3)
    odd.config.get_text_config = lambda: odd.config
    with pytest.raises(UsageError, match="no list of layers in Linear"):
        first_layers(odd, 1)


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_greedy_speculation_is_plain_greedy(kind):
    """Drafting with three of four layers changes no token, and some drafts are rejected."""
    model = whole(kind, num_hidden_layers=4, tie_word_embeddings=False, **_cycle(kind))
    prompt = torch.arange(3, 40).tolist()
    plain = engines.decode(engines.loop(decoder(model)), new_tokens=40, prompt=prompt)[0]
    cut = decoder(first_layers(model, 3))
    run = engines.loop(decoder(model), cut, LayerSkip)
    committed, played = engines.decode(run, new_tokens=40, prompt=prompt)
    assert committed == plain
    assert any(one.accepted < len(one.drafted) for one in played)


def _cycle(kind):
    return {"layer_types": MIXED[kind]["layer_types"][:4]} if kind in MIXED else {}
