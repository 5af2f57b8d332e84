"""Published heads: loaded as they were written, computing what was published, misfits refused."""

import pytest
import torch

import heads
import tiny
from specprof.engine.decoder import CausalModel
from specprof.engine.features import Features
from specprof.engine.heads import checkpoint
from specprof.engine.heads.decoder import HeadDecoder
from specprof.engine.heads.taps import find_taps
from specprof.engine.setup import loading
from specprof.engine.stores.dense import Store
from specprof.errors import EnvironmentMissing, SpecprofError, UsageError
from specprof.settings import Settings

CPU = torch.device("cpu")
SETTINGS = Settings(device="cpu")
CAPACITY = 64
TOKENS = [5, 17, 3, 80, 41, 41, 9, 2, 66, 30, 12]
DRAFTED = [7, 7, 90]


@pytest.fixture(scope="module", params=["llama", "gpt_neox"])
def target(request, tmp_path_factory):
    folder = tiny.checkpoint(tmp_path_factory.mktemp(request.param), request.param)
    return loading.load(str(folder), SETTINGS, CPU)


def opened(folder, target, fed=TOKENS, settings=SETTINGS):
    """The head's decoder beside a target that has been fed all of `fed` but its last token."""
    loaded = checkpoint.load(str(folder), settings, target)
    read = CausalModel(target.model, Store(target.facts.layers, CAPACITY), CPU)
    read.features = Features(find_taps(target.model, loaded.model.form), CAPACITY)
    read.prefill(fed[:-1])
    return HeadDecoder(loaded.model, Store(loaded.facts.layers, CAPACITY), read)


def seen(target, layers=None):
    """The target's features by its own account: states entering `layers`, or the last one."""
    with torch.no_grad():
        out = target.model(torch.tensor([TOKENS[:-1]]), output_hidden_states=True, use_cache=False)
    states = out.hidden_states
    return states[-1][0] if layers is None else torch.cat([states[each][0] for each in layers], -1)


def reference(weights, target, **given):
    embedding = target.model.get_input_embeddings().weight
    return heads.Reference(weights, embedding, target.model.get_output_embeddings().weight, **given)


def assert_same(ours, theirs):
    """Equal where the head has an answer; ids it can't draft are never drafted."""
    known = theirs.isfinite()
    most = theirs[known].abs().max().item()
    assert torch.allclose(ours[known], theirs[known], atol=1e-5 * most, rtol=1e-4)
    assert (ours.softmax(-1)[~known] == 0).all()
    assert ours.isfinite().all()


@pytest.mark.parametrize("given", [{}, {"bias": True}, {"layers": 2}], ids=["plain", "bias", "two"])
def test_an_eagle_head_computes_what_was_published(target, tmp_path, given):
    """Feature: the last hidden state after the final norm; answers: the target's own lm_head."""
    weights = heads.eagle(**given)
    folder = heads.write(tmp_path, weights, num_hidden_layers=given.get("layers", 1))
    decoder = opened(folder, target)
    ours = torch.cat(
        [decoder.feed(torch.tensor(each)) for each in (TOKENS, *([each] for each in DRAFTED))]
    )
    assert_same(ours[1:], reference(weights, target).answers(TOKENS, seen(target), DRAFTED))


def test_an_eagle_3_head_computes_what_was_published(target, tmp_path):
    """Features: three entering states; answers: its own lm_head over a reduced vocabulary."""
    weights = heads.eagle3()
    decoder = opened(
        heads.write(tmp_path, weights, eagle_aux_hidden_state_layer_ids=[0, 1, 2]), target
    )
    ours = torch.cat(
        [decoder.feed(torch.tensor(each)) for each in (TOKENS, *([each] for each in DRAFTED))]
    )
    features = seen(target, (0, 1, 2))
    assert_same(ours[1:], reference(weights, target).answers(TOKENS, features, DRAFTED))


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        ({}, (2, 1, 0)),  # of three layers: the second, the middle, the third last
        ({"eagle_aux_hidden_state_layer_ids": [1, 0, 2]}, (1, 0, 2)),
        ({"eagle_config": {"eagle_aux_hidden_state_layer_ids": [0, 1, 0]}}, (1, 2, 1)),
    ],
    ids=["published", "entering", "leaving"],
)
def test_which_layers_are_read(target, tmp_path, config, layers):
    """Publishers count from the state entering a layer, or from the one leaving it."""
    weights = heads.eagle3()
    decoder = opened(heads.write(tmp_path, weights, **config), target)
    ours = decoder.feed(torch.tensor(TOKENS))[1:]
    assert_same(ours, reference(weights, target).answers(TOKENS, seen(target, layers)))


def test_the_state_after_the_last_layer_can_be_read(target, tmp_path):
    """As many as the target has layers means what leaves the last, before the final norm."""
    weights = heads.eagle3()
    decoder = opened(
        heads.write(tmp_path, weights, eagle_aux_hidden_state_layer_ids=[3, 3, 3]), target
    )
    caught = []
    layers = next(
        each
        for each in target.model.get_decoder().children()
        if isinstance(each, torch.nn.ModuleList)
    )
    hook = layers[-1].register_forward_hook(lambda *out: caught.append(out[2]))
    seen(target)
    hook.remove()
    features = torch.cat([caught[0][0]] * 3, -1)
    ours = decoder.feed(torch.tensor(TOKENS))[1:]
    assert_same(ours, reference(weights, target).answers(TOKENS, features))


def test_rotary_settings_are_the_heads_own(target, tmp_path):
    """The base of the angles comes from the head's config, whatever the target's is."""
    weights = heads.eagle3()
    decoder = opened(heads.write(tmp_path, weights, rope_theta=20.0), target)
    ours = decoder.feed(torch.tensor(TOKENS))[1:]
    theirs = reference(weights, target, theta=20.0).answers(TOKENS, seen(target, (2, 1, 0)))
    assert_same(ours, theirs)
    other = reference(weights, target).answers(TOKENS, seen(target, (2, 1, 0)))
    assert not torch.allclose(other[-1], theirs[-1], atol=1e-3)


def test_nodes_of_a_tree_are_answered_as_if_their_branch_were_the_chain(target, tmp_path):
    """Each node sees the chain and its own line, beside its parent's answer."""
    weights = heads.eagle3()
    decoder = opened(heads.write(tmp_path, weights), target)
    decoder.feed(torch.tensor(TOKENS))
    tokens, parents = [7, 8, 9, 9, 5, 1], [-1, -1, 0, 1, 0, 3]
    levels = ((0, 2), (2, 5), (5, 6))
    ours = torch.cat(
        [decoder.feed(torch.tensor(tokens[a:b]), torch.tensor(parents[a:b])) for a, b in levels]
    )
    features = seen(target, (2, 1, 0))
    theirs = reference(weights, target).answers(TOKENS, features, tokens, parents)
    assert_same(ours, theirs[-6:])
    decoder.keep([1, 3, 5])
    assert decoder.length == len(TOKENS) + 3
    after = decoder.feed(torch.tensor([4]))
    assert_same(after, reference(weights, target).answers(TOKENS, features, [8, 9, 1, 4])[-1:])


def test_rolling_back_forgets_the_heads_own_guesses(target, tmp_path):
    """Fed again after a rollback, a token's answer is what it would have been at first."""
    folder = heads.write(tmp_path, heads.eagle3())
    decoder, fresh = opened(folder, target), opened(folder, target)
    decoder.prefill(TOKENS[:4])
    decoder.feed(torch.tensor(TOKENS[4:]))
    for token in DRAFTED:
        decoder.feed(torch.tensor([token]))
    decoder.rollback(6)
    assert decoder.length == 6
    assert torch.allclose(
        decoder.feed(torch.tensor(TOKENS[6:])), fresh.feed(torch.tensor(TOKENS))[6:], atol=1e-5
    )
    assert decoder.store.length == len(TOKENS) - 1
    decoder.rollback(0)
    assert (decoder.length, decoder.store.length) == (0, 0)


def test_a_first_token_has_no_answer_and_no_row(target, tmp_path):
    """The published head never sees it: every id is alike, and nothing is stored."""
    decoder = opened(heads.write(tmp_path, heads.eagle3()), target)
    assert (decoder.feed(torch.tensor(TOKENS[:1])) == 0).all()
    assert (decoder.length, decoder.store.length, decoder.kv_bytes) == (1, 0, 0)


def test_a_head_computes_in_the_dtype_asked_for(tmp_path):
    """Half precision inside, float32 logits out, from the first token on."""
    half = Settings(device="cpu", dtype="bfloat16")
    lower = loading.load(str(tiny.checkpoint(tmp_path / "target")), half, CPU)
    decoder = opened(heads.write(tmp_path / "head", heads.eagle3()), lower, settings=half)
    for token in TOKENS:
        assert decoder.feed(torch.tensor([token])).dtype == torch.float32
    assert decoder.store.layers[0].keys.dtype == torch.bfloat16


def test_a_token_without_a_state_before_it_is_refused(target, tmp_path):
    """A head that was fed further than its target can't go on from nothing."""
    decoder = opened(heads.write(tmp_path, heads.eagle3()), target, fed=[5])
    with pytest.raises(SpecprofError, match="without a state before it"):
        decoder.feed(torch.tensor([5, 6]))


def test_names_and_files_of_other_publishers_load_to_the_same_head(target, tmp_path):
    """vLLM's prefixes, speculators' nested config, an old pickle of tensors: one head."""
    weights = heads.eagle3()
    renamed = {
        ("" if name in {"d2t", "t2d", "lm_head.weight"} else "model.")
        + name.replace("midlayer.", "layers.0."): each
        for name, each in weights.items()
    }
    nested = {
        "speculators_model_type": "eagle3",
        "transformer_layer_config": dict(heads.CONFIG),
        "eagle_aux_hidden_state_layer_ids": [2, 1, 0],
        "model_type": "speculator_model",
    }
    carried = weights | {"verifier_norm.weight": torch.ones(3)}
    folders = [
        heads.write(tmp_path / "plain", weights),
        heads.write(tmp_path / "vllm", renamed),
        heads.write(tmp_path / "speculators", carried, **nested),
        heads.write(tmp_path / "pickle", weights, binary=True),
    ]
    answers = [opened(each, target).feed(torch.tensor(TOKENS)) for each in folders]
    assert all(torch.equal(each, answers[0]) for each in answers[1:])


def test_norm_before_residual_is_taken_from_the_config(target, tmp_path):
    """Some heads add the attention to the normed state, not to the state."""
    weights = heads.eagle3()
    plain = opened(heads.write(tmp_path / "a", weights), target).feed(torch.tensor(TOKENS))
    changed = heads.write(tmp_path / "b", weights, norm_before_residual=True)
    assert not torch.allclose(plain, opened(changed, target).feed(torch.tensor(TOKENS)))


def test_what_is_known_of_a_head_leaves_out_what_it_shares(target, tmp_path):
    """Its facts count its own weights; the embedding it borrows is the target's."""
    weights = heads.eagle3()
    loaded = checkpoint.load(str(heads.write(tmp_path, weights)), SETTINGS, target)
    own = [each for name, each in weights.items() if name != "t2d"]
    assert loaded.facts.parameters == sum(each.numel() for each in own)
    assert loaded.facts.kv_bytes_per_token == 2 * heads.KV_HEADS * heads.SIZE * 4
    assert (loaded.facts.dtype, loaded.facts.architecture) == ("float32", "EAGLE-3 head")
    assert loaded.model.embed_tokens is target.model.get_input_embeddings()


def without(name):
    weights = heads.eagle3()
    del weights[name]
    return weights


def changed(**given):
    return heads.eagle3() | given


REFUSED = {
    "lacks": (
        without("norm.weight"),
        {},
        EnvironmentMissing,
        "lacks weights .*, for example norm.weight",
    ),
    "no-map": (without("d2t"), {}, EnvironmentMissing, "doesn't say which"),
    "zero-map": (
        changed(d2t=torch.zeros(heads.KNOWN, dtype=torch.int64)),
        {},
        UsageError,
        "contradicts",
    ),
    "no-head": ({"weight": torch.ones(2)}, {}, UsageError, "is no EAGLE"),
    "unknown": (
        heads.eagle3() | {"input_norm.weight": torch.ones(3)},
        {},
        UsageError,
        "unknown weights .1 in all., for example input_norm.weight",
    ),
    "vocabulary": (heads.eagle3(), {"vocab_size": 100}, UsageError, "100 ids; .* has 96"),
    "hidden-size": (
        changed(**{"fc.weight": torch.ones(heads.WIDTH, 192)}),
        {},
        UsageError,
        "reads 192 numbers a token; it would need 96 to read 3 hidden states of .*, hidden size 32",
    ),
    "layers": (
        heads.eagle3(),
        {"eagle_aux_hidden_state_layer_ids": [1, 2, 9]},
        UsageError,
        r"layers \(1, 2, 9\)",
    ),
    "shape": (heads.eagle3(), {"intermediate_size": 64}, UsageError, r"is \(48, 32\), but"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_head_that_does_not_fit_is_refused_with_what_was_found(target, tmp_path, case):
    """Weights are never made up, and a head of another target never drafts."""
    weights, config, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        checkpoint.load(str(heads.write(tmp_path, weights, **config)), SETTINGS, target)


def test_an_absent_or_broken_file_is_named(target, tmp_path):
    """A folder without weights, a cut file, a name that is nothing."""
    folder = heads.write(tmp_path / "cut", heads.eagle3())
    (folder / "model.safetensors").write_bytes(b"\x10\x00")
    empty = tmp_path / "empty"
    empty.mkdir()
    for each in (folder, empty):
        with pytest.raises(EnvironmentMissing, match="can't load head") as caught:
            checkpoint.load(str(each), SETTINGS, target)
        assert "the folder must hold config.json" in caught.value.hint
    with pytest.raises(EnvironmentMissing) as caught:
        checkpoint.load("nobody/no-such-head", SETTINGS, target)
    assert "pocket/eagle" in caught.value.hint


def test_a_pickle_that_would_run_code_is_refused(target, tmp_path):
    """`weights_only` reads tensors; anything else in the file is an error, not a call."""
    folder = heads.write(tmp_path, {"weight": print}, binary=True)
    with pytest.raises(EnvironmentMissing, match="can't load head"):
        checkpoint.load(str(folder), SETTINGS, target)


def test_hooks_leave_the_target_with_the_features():
    """A target that outlives a run carries nothing of it along."""
    read = tiny.model("llama")
    layer = read.model.layers[1]
    features = Features([(layer, True), (read.model.norm, False)], 8)
    assert len(layer._forward_pre_hooks) == 1
    del features
    assert not layer._forward_pre_hooks
    assert not read.model.norm._forward_hooks


@pytest.mark.parametrize("key", ["text_config", "to_dict", "get_text_config", "from_pretrained"])
def test_keys_that_no_layer_has_change_nothing(target, tmp_path, key):
    """A publisher's own, or anybody's: they would stand in the place of what is called so."""
    folder = heads.write(tmp_path, heads.eagle3(), **{key: 7})
    config = checkpoint.load(str(folder), SETTINGS, target).model.config
    assert config.get_text_config().num_hidden_layers == 1
