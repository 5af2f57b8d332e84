"""Weights are held once, and what the description doesn't cover is refused by name."""

import pytest
import torch

import tiny
from specprof.engine.flat.read import MAX_FORMULA_NUMBERS, parts
from specprof.errors import UsageError


def test_joined_projections_take_no_second_copy():
    """The modules' own weights are views of the joined ones, and as they were."""
    model = tiny.model("llama")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    read = parts(model)
    attention = model.model.layers[0].self_attn
    joined = read.blocks[0].into_attention.weight
    held = joined.untyped_storage().data_ptr()
    for each in (attention.q_proj, attention.k_proj, attention.v_proj):
        assert each.weight.untyped_storage().data_ptr() == held
    assert torch.equal(joined[:32], before["model.layers.0.self_attn.q_proj.weight"])
    after = model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_a_model_read_twice_is_joined_once():
    """A model cut short shares its layers with the whole one."""
    model = tiny.model("qwen2")
    first, second = parts(model), parts(model)
    for one, other in zip(first.blocks, second.blocks, strict=True):
        assert one.into_attention.weight.data_ptr() == other.into_attention.weight.data_ptr()
        assert one.into_attention.bias.data_ptr() == other.into_attention.bias.data_ptr()
        assert one.into_mlp.weight.data_ptr() == other.into_mlp.weight.data_ptr()


def test_an_unknown_class_is_refused_with_those_that_are_known():
    """By the class: its configuration may say llama and its code compute otherwise."""
    model = tiny.model("llama")
    model.__class__ = type("LookalikeForCausalLM", (type(model),), {})
    with pytest.raises(UsageError, match="a LookalikeForCausalLM is none of GPTNeoXForCausalLM"):
        parts(model)


def test_angles_that_depend_on_the_length_are_refused():
    """A table of angles by position would be wrong for them."""
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    with pytest.raises(UsageError, match="the angles of its dynamic RoPE depend on the length"):
        parts(tiny.model("llama", rope_parameters=rope))


def test_softcapped_logits_are_refused():
    """The option is named, as the configuration has it."""
    with pytest.raises(UsageError, match="final_logit_softcapping is not part of"):
        parts(tiny.model("gemma3_text", final_logit_softcapping=30.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 5, 600])
def test_a_few_numbers_go_round_onednn(rows, dtype, monkeypatch):
    """The exact GELU either way; in half precision its steps would be rounded."""
    act = parts(tiny.model("gpt_neox")).blocks[0].act
    numbers = torch.randn(rows, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    wanted = torch.nn.functional.gelu(numbers)
    asked = []
    rightly = torch.nn.functional.gelu
    monkeypatch.setattr(
        torch.nn.functional, "gelu", lambda given: asked.append(1) or rightly(given)
    )
    torch.testing.assert_close(act(numbers), wanted, atol=1e-6, rtol=1e-5)
    assert bool(asked) == (dtype == torch.bfloat16 or rows * 64 > MAX_FORMULA_NUMBERS)


def test_another_activation_is_taken_as_it_is():
    """Only the exact GELU is known to be the same."""
    model = tiny.model("gpt_neox", hidden_act="gelu_new")
    assert parts(model).blocks[0].act is model.gpt_neox.layers[0].mlp.act
