"""What each token may see, in the form each kind of model takes."""

from types import SimpleNamespace

import torch

from specprof.engine.stores.dense import Placement
from specprof.engine.stores.masks import attention_mask

VISIBLE = torch.tensor([[[1, 1, 1, 0], [1, 1, 0, 1]]], dtype=torch.bool)
PLACE = Placement(
    positions=torch.tensor([[2, 2]]), visible=VISIBLE, columns=torch.tensor([[0, 1, 2, 2]])
)


def model(**config):
    return SimpleNamespace(
        config=SimpleNamespace(get_text_config=lambda: SimpleNamespace(**config)),
        dtype=torch.float32,
    )


def seen(mask):
    assert set(mask.unique().tolist()) <= {0.0, torch.finfo(torch.float32).min}
    return (mask == 0)[:, 0]


def test_a_chain_is_left_to_the_models_own_mask():
    """Nothing is built where every token sees all before it."""
    assert attention_mask(model(), Placement(torch.arange(3)[None])) is None


def test_one_mask_where_no_layer_slides():
    """No window, or one that no layer uses."""
    for config in (
        {},
        {"sliding_window": None},
        {"sliding_window": 2, "layer_types": ["full_attention"] * 2},
        {"sliding_window": 2, "use_sliding_window": False},
    ):
        assert torch.equal(seen(attention_mask(model(**config), PLACE)), VISIBLE)


def test_a_window_counts_positions_not_columns():
    """Two siblings stand at one position: each sees its own row and the one position before."""
    mask = attention_mask(model(sliding_window=2), PLACE)
    assert seen(mask).tolist() == [[[False, True, True, False], [False, True, False, True]]]


def test_layers_of_both_kinds_get_a_mask_each():
    """As transformers asks for them, by the kind's name."""
    kinds = ["full_attention", "sliding_attention"]
    masks = attention_mask(model(sliding_window=1, layer_types=kinds), PLACE)
    assert set(masks) == set(kinds)
    assert torch.equal(seen(masks["full_attention"]), VISIBLE)
    assert seen(masks["sliding_attention"]).sum(-1).tolist() == [[1, 1]]
