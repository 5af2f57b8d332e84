"""The recipe's parts: tokenizer, positions, batches, deepening, and one short training."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specprof.pocket import corpus
from specprof.recipe.batches import Batches, scattered_positions
from specprof.recipe.fit import fit
from specprof.recipe.losses import logits_of
from specprof.recipe.shapes import deepen, untrained_model
from specprof.recipe.tokenizer import VOCABULARY, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([corpus.module_text(name) for name in ("json", "ast", "csv")])


def test_the_tokenizer_gives_back_every_character(tokenizer):
    """Encoding loses nothing, whatever the text: bytes are its alphabet."""
    text = 'def f(x):\n    return "ünïcødé 漢字 \\t" + 12_345  # \x00 end\n'
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) <= VOCABULARY


def test_digits_stay_apart_and_an_indent_is_few_tokens(tokenizer):
    """Numbers are spelt digit by digit; a newline takes its indent along."""
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("12345")["input_ids"])
    assert len(pieces) == 5
    assert len(tokenizer("\n        return")["input_ids"]) <= 4


@given(st.integers(16, 512), st.integers(512, 30_000), st.integers(0, 10**6))
def test_scattered_positions_rise_and_stay_within_reach(length, span, seed):
    """Positions never repeat or fall, and no sample reaches beyond length + span."""
    positions = scattered_positions(length, span, torch.Generator().manual_seed(seed))[0]
    steps = positions.diff()
    assert positions.shape == (length,)
    assert (steps >= 1).all()
    assert (steps > 1).sum() <= 7
    assert positions[-1] < length + span


def test_batches_are_windows_of_the_stream_and_seeded():
    """Every row is a contiguous piece; the same seed draws the same pieces."""
    stream = torch.arange(5_000, dtype=torch.int16)
    first, second = (next(iter(Batches(stream, 4, 32, seed=1))) for _ in range(2))
    assert torch.equal(first, second)
    assert (first.diff(dim=1) == 1).all()
    assert not torch.equal(first, next(iter(Batches(stream, 4, 32, seed=2))))


def test_a_deepened_model_takes_each_trained_layer_in_three_smaller_steps():
    """Every layer stands three times in a row, its two residual branches at a third."""
    torch.manual_seed(0)
    shallow = untrained_model("target", layers=4)
    deep = deepen(shallow, "target")
    assert deep.config.num_hidden_layers == 12
    assert torch.equal(deep.gpt_neox.embed_in.weight, shallow.gpt_neox.embed_in.weight)
    for index, layer in enumerate(deep.gpt_neox.layers):
        trained = shallow.gpt_neox.layers[index // 3]
        thirds = trained.mlp.dense_4h_to_h.weight / 3
        assert torch.equal(layer.mlp.dense_4h_to_h.weight, thirds)
        assert torch.equal(layer.attention.dense.weight, trained.attention.dense.weight / 3)
        key_value = layer.attention.query_key_value.weight
        assert torch.equal(key_value, trained.attention.query_key_value.weight)


def test_jumps_in_position_do_not_cut_the_attention():
    """Scattered positions change distances, but every token still sees all before it."""
    torch.manual_seed(0)
    model = untrained_model("draft-small").eval()
    tokens = torch.randint(VOCABULARY, (1, 12))
    changed = tokens.clone()
    changed[0, 0] = (changed[0, 0] + 1) % VOCABULARY
    positions = torch.cat([torch.arange(6), torch.arange(4000, 4006)])[None]
    with torch.no_grad():
        before, after = (logits_of(model, each, positions)[0, -1] for each in (tokens, changed))
    assert not torch.equal(before, after)


def test_fit_lowers_the_loss_on_what_it_sees(capsys):
    """A few seeded steps on one repeated batch at least halve its loss."""
    torch.manual_seed(0)
    model = untrained_model("draft-small")
    batch = torch.randint(64, (4, 32))
    seen = []

    def loss_of(tokens):
        logits = model(tokens).logits[:, :-1].flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
        seen.append(loss.item())
        return loss

    fit([model], islice(iter(lambda: batch, None), 60), loss_of, steps=60, name="test")
    assert seen[-1] < seen[0] / 2
    assert "test: step 60/60" in capsys.readouterr().err
