"""What a loaded model does, beside what it was configured to do."""

import pytest
import torch

import tiny
from specprof.engine.setup.loading import Loaded, facts_of
from specprof.engine.setup.model_facts import (
    add_loaded_facts,
    rope_kinds,
    rotation,
    rotation_configured,
)

SCALED = {
    "linear": {"factor": 4.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 128},
}
BOTH = {
    "gemma3_text": {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
}


def facts(kind="llama", tokenizer=None, **changed):
    model = tiny.model(kind, **changed)
    return add_loaded_facts(Loaded(model, tokenizer, facts_of("tiny", model)))


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_a_model_turns_as_it_was_configured(kind):
    """Whatever the architecture: part of a head, all of it, two kinds of layers."""
    told = facts(kind, **BOTH.get(kind, {}))
    assert told.rope == "default"
    assert told.rotation == told.rotation_configured
    assert told.rotation[0] == 1.0
    assert len(told.rotation) == {"gpt_neox": 1, "gemma3_text": 8}.get(kind, 4)


def test_the_speeds_are_the_textbooks():
    """theta ** (-2i / size), by hand for a head of 8 (arXiv 2104.09864)."""
    told = facts(rope_parameters={"rope_type": "default", "rope_theta": 10_000.0})
    assert told.rotation_configured == pytest.approx([1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize("kind", SCALED)
def test_a_scaling_is_asked_for_and_applied(kind):
    """And one that was not applied differs: the module turns as if there were none."""
    scaled = {"rope_type": kind, "rope_theta": 10_000.0} | SCALED[kind]
    told = facts(rope_parameters=scaled)
    assert told.rope == kind
    assert told.rotation == pytest.approx(told.rotation_configured)
    plain = tiny.model("llama")
    plain.config.rope_parameters = scaled
    assert rotation(plain) != pytest.approx(rotation_configured(plain.config))


def test_a_rotation_changed_after_loading_shows():
    """It is read when asked for, off the buffers in use."""
    model = tiny.model("llama")
    loaded = Loaded(model, None, facts_of("tiny", model))
    before = add_loaded_facts(loaded).rotation
    next(each for name, each in model.named_buffers() if name.endswith("inv_freq")).mul_(0.5)
    after = add_loaded_facts(loaded)
    assert after.rotation == pytest.approx([each / 2 for each in before])
    assert after.rotation_configured == before


def test_angles_that_depend_on_the_text_are_not_told():
    """There is no one table to hold the module's against."""
    config = tiny.model("llama").config
    config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    assert rotation_configured(config) == []
    assert rope_kinds(config) == {"": "dynamic"}


def test_the_window_is_that_of_layers_that_slide():
    """A window nobody uses is none."""
    assert facts("mistral").window == 24
    assert facts("gemma3_text").window == 16
    assert facts("llama").window is None
    assert facts("qwen2", sliding_window=16, use_sliding_window=False).window is None


def test_vocabularies_are_told_apart_by_any_token():
    """The same table has the same digits; without a tokenizer there are none."""
    one, same, other = (
        facts(tokenizer=each).vocabulary_sha
        for each in (tiny.tokenizer(), tiny.tokenizer(), tiny.tokenizer("x"))
    )
    assert one == same
    assert one != other
    assert len(one) == 16
    assert facts().vocabulary_sha is None


def test_a_model_without_rotary_positions_has_none():
    """No buffer, no kind, nothing asked."""
    model = torch.nn.Linear(2, 2)
    assert rotation(model) == []
    assert rope_kinds(object()) == {}
    assert rotation_configured(object()) == []
