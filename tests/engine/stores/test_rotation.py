"""How keys turn is measured: what is found is the model's own, what can't be moved is refused."""

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import tiny
from specprof.engine.stores.rotation import rotations
from specprof.errors import UsageError


def test_a_partial_rotation_turns_the_front_of_a_head_alone():
    """GPT-NeoX turns a quarter of 8 numbers: one pair, by one radian a position."""
    (found, *_) = rotations(tiny.model("gpt_neox"))
    assert found.pairs == 1
    assert found.speeds.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_turning_on_is_what_the_model_itself_does_at_the_later_place():
    """A key turned by 90 positions is the key the model writes there, scaled RoPE or not."""
    scaled = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}
    scaled |= {"original_max_position_embeddings": 128}
    made = tiny.model("llama", rope_parameters=scaled, num_hidden_layers=1)
    hidden = torch.randn(1, 2, 1, 8)  # a head's key before rotation
    rotary = made.model.rotary_emb
    written = []
    for position in (7, 97):
        cos, sin = rotary(hidden, torch.tensor([[position]]))
        half = torch.cat([-hidden[..., 4:], hidden[..., :4]], -1)
        written.append(hidden * cos + half * sin)
    found = rotations(made)[0].turn(written[0], torch.tensor(90))
    assert torch.allclose(found, written[1], atol=1e-5)
    assert rotary.attention_scaling > 1


def test_layers_without_positions_are_left_alone():
    """SmolLM3 has layers without RoPE: their keys fit any place."""
    shape = tiny.SHAPE | {"no_rope_layers": [1, 0, 1], "no_rope_layer_interval": 2}
    config = CONFIG_MAPPING["smollm3"](**shape)
    made = AutoModelForCausalLM.from_config(config).eval()
    assert [each.pairs for each in rotations(made)] == [4, 0, 4]


SMALL = {"vocab_size": 96, "n_positions": 512, "n_embd": 32, "n_layer": 2, "n_head": 4}


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        ("gpt2", SMALL, "no rotary position embedding"),
        ("gptj", SMALL | {"rotary_dim": 4}, "no rotary position embedding"),
        ("bloom", {"vocab_size": 96, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "no rotary"),
        ("cohere", tiny.SHAPE, "don't turn by halves"),
        (
            "llama",
            tiny.SHAPE
            | {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "angles of its dynamic RoPE depend on the text's length",
        ),
    ],
)
def test_a_model_whose_keys_can_t_be_moved_is_refused(kind, given, reason):
    """With the reason, and what to use instead."""
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**given)).eval()
    with pytest.raises(UsageError, match=reason) as refusal:
        rotations(made)
    assert "cache dense" in refusal.value.hint


def test_half_precision_keys_are_measured_too():
    """The noise of bfloat16 through the layers hides no rotation."""
    found = rotations(tiny.model("qwen3").to(torch.bfloat16))
    assert [each.pairs for each in found] == [4, 4, 4]
