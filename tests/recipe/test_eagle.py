"""How the pocket head is trained: what it computes in training is what it computes drafting."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPTNeoXForCausalLM

from specprof import pocket
from specprof.engine.decoder import CausalModel
from specprof.engine.features import Features
from specprof.engine.heads import checkpoint
from specprof.engine.heads.decoder import HeadDecoder
from specprof.engine.heads.taps import find_taps
from specprof.engine.setup import loading
from specprof.engine.stores.dense import Store
from specprof.recipe import eagle
from specprof.settings import Settings

CPU = torch.device("cpu")
SETTINGS = Settings(device="cpu")


@pytest.fixture(scope="module")
def target():
    return loading.load("pocket/target", SETTINGS, CPU)


@pytest.fixture
def head(target):
    """An untrained head with half-precision weights, so that saving loses nothing."""
    torch.manual_seed(0)
    known = torch.randperm(1024)[: eagle.DRAFT_VOCABULARY].sort().values
    made = eagle.untrained_head(target.model, known)
    for name, weight in made.named_parameters():
        if not name.startswith("embed_tokens."):
            weight.data = weight.data.half().float()
    return made


def test_an_unrolled_step_is_a_drafted_token(target, head, tmp_path):
    """Every step at every place gives the logits the saved head drafts with in the engine."""
    eagle.save(head, tmp_path)
    loaded = checkpoint.load(str(tmp_path), SETTINGS, target)
    tokens = torch.randint(1024, (1, 16), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = target.model(tokens, output_hidden_states=True)
        features = torch.cat([out.hidden_states[each] for each in eagle.TAPS], -1)
        steps = torch.stack([each[0] for each in eagle.unroll(head, features, tokens, 4)])
    assert steps.shape == (4, 16 - 1 - 4, eagle.DRAFT_VOCABULARY)
    for place in range(steps.shape[1]):
        read = CausalModel(target.model, Store(12, 32), CPU)
        read.features = Features(find_taps(target.model, loaded.model.form), 32)
        read.feed(tokens[0, : place + 1])
        decoder = HeadDecoder(loaded.model, Store(1, 32), read)
        decoder.feed(tokens[0, : place + 1])
        fed = tokens[0, place + 1 : place + 1 + 4, None]
        drafted = torch.cat([decoder.feed(token) for token in fed])[:, head.known_ids()]
        assert torch.allclose(steps[:, place], drafted, atol=1e-4, rtol=1e-4)


def test_a_saved_head_is_in_the_published_layout(head, tmp_path):
    """Names, half precision, both tables, and no copy of the target's embedding."""
    eagle.save(head, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    assert "midlayer.hidden_norm.weight" in weights
    assert not any("embed_tokens" in name for name in weights)
    assert weights["fc.weight"].dtype == torch.float16
    known = weights["d2t"] + torch.arange(eagle.DRAFT_VOCABULARY)
    assert torch.equal(weights["t2d"].nonzero()[:, 0], known)


def test_the_draft_vocabulary_is_what_the_sources_hold_most():
    """The most frequent ids, in rising order, so that the table of offsets rises too."""
    stream = torch.arange(1024).repeat_interleave(torch.arange(1024))
    kept = eagle.frequent_ids(stream, 1024)
    assert torch.equal(kept, torch.arange(1024 - eagle.DRAFT_VOCABULARY, 1024))


def test_a_few_steps_bring_the_drafts_nearer_to_the_target(target, monkeypatch, capsys):
    """Training lowers the loss, moves the head's own weights, and leaves the target alone."""
    monkeypatch.setattr(eagle, "BATCH_ROWS", 2)
    monkeypatch.setattr(eagle, "TRAINED_CONTEXT", 48)
    plain = GPTNeoXForCausalLM.from_pretrained(pocket.folder("pocket/target"), dtype=torch.float32)
    plain.eval().requires_grad_(requires_grad=False)
    before = plain.get_input_embeddings().weight.clone()
    stream = torch.randint(64, (2_000,), generator=torch.Generator().manual_seed(0))
    stream[:1024] = torch.arange(1024)
    torch.manual_seed(eagle.SEED)
    start = eagle.untrained_head(plain, eagle.frequent_ids(stream, 1024))
    trained = eagle.train(plain, stream, steps=30)
    tokens = stream[-96:].view(2, 48).long()
    with torch.no_grad():
        losses = [eagle.unrolled_loss(each, plain, tokens, 4).item() for each in (start, trained)]
    assert losses[1] < 0.8 * losses[0]
    assert torch.equal(plain.get_input_embeddings().weight, before)
    assert "eagle: step 30/30" in capsys.readouterr().err
