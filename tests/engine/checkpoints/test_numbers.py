"""A configuration's numbers are held to what models have, before one sizes anything."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

import tiny
from specprof.engine.checkpoints.files import Misfit
from specprof.engine.checkpoints.numbers import check_numbers, check_special_ids

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = some.sampled_from([*tiny.SHAPE, "dtype", "rope_parameters", "factor", "n_layer", "eps"])


@pytest.mark.parametrize(
    "written",
    [
        {},
        tiny.SHAPE,
        {"rope_theta": 10**11, "seed": 2**63, "model_max_length": 10**30},
        {"eos_token_id": [1, 2], "pad_token_id": -1, "num_key_value_heads": [4, 8, 4]},
        {"sliding_window": None, "dtype": None, "torch_dtype": "bfloat16"},
        {"rope_scaling": {"rope_type": "yarn", "factor": 40, "beta_fast": 32, "mscale": 0.7}},
        {"text_config": {"num_hidden_layers": 126}, "architectures": ["X"], "num_experts": 384},
        {"sliding_window": False, "layer_norm_eps": 1e-12, "partial_rotary_factor": 0.25},
    ],
)
def test_what_models_have_passes(written):
    """Large bases of rotations, lists a layer, nothing said."""
    check_numbers(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000"),
        ({"n_layer": 10**5}, "n_layer"),
        ({"decoder_layers": 10**5}, "decoder_layers"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"num_local_experts": 10**6}, "num_local_experts"),
        ({"hidden_size": 0}, "hidden_size 0"),
        ({"hidden_size": 2**40}, "hidden_size"),
        ({"hidden_size": "32"}, "hidden_size '32'"),
        ({"hidden_size": True}, "hidden_size True"),
        ({"vocab_size": 1}, "vocab_size 1"),
        ({"whatever": {"deep": [{"size": 10**30}]}}, "size 1000"),
        ({"torch_dtype": "float7"}, "torch_dtype 'float7'"),
        ({"dtype": 12}, "dtype 12"),
        ({"dtype": "nn"}, "dtype 'nn'"),
        ({"architectures": [[1]]}, "architectures"),
        ({"rope_parameters": {"factor": 0}}, "factor 0"),
        ({"rope_parameters": {"full_attention": {"rope_theta": -1.0}}}, "rope_theta -1"),
        ({"rope_scaling": {"factor": "4"}}, "factor '4'"),
        ({"partial_rotary_factor": 7.0}, "partial_rotary_factor 7"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps nan"),
    ],
)
def test_what_no_model_has_is_refused(written, said):
    """With the key and the value."""
    with pytest.raises(Misfit, match=said):
        check_numbers(written)


def test_tables_in_tables_have_an_end():
    """Whatever holds them."""
    written: dict = {}
    for _ in range(500):
        written = {"a": [written]}
    with pytest.raises(Misfit, match="nested deeper"):
        check_numbers(written)


@pytest.mark.parametrize("ends", ["x", 1.5, [[0]], {"a": 1}, 2**70, [True]])
def test_what_is_no_token_ends_no_text(ends):
    """An id is a whole number."""
    with pytest.raises(Misfit, match="eos_token_id"):
        check_special_ids({"eos_token_id": ends})


@given(some.dictionaries(NAMES | some.text(max_size=6), JSON, max_size=5))
def test_anything_passes_or_is_a_misfit(written):
    """No other error, whatever JSON holds."""
    with suppress(Misfit):
        check_numbers(written)
        check_special_ids(written)
