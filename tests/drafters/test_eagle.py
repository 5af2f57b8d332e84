"""The drafter `eagle`: lossless, one target forward a round, a cache without guesses."""

import pytest
import torch

import heads
import tiny
from specprof.backends.native import Native
from specprof.drafters.eagle import Eagle
from specprof.engine.decoder import CausalModel
from specprof.engine.features import Features
from specprof.engine.heads.decoder import HeadDecoder
from specprof.engine.heads.taps import find_taps
from specprof.engine.setup.wiring import wire
from specprof.engine.stores.dense import Store
from specprof.errors import UsageError
from specprof.records import Recheck, Round
from specprof.settings import RunSpec, Settings

CONTEXT, NEW = 24, 30
PAIRS = [
    (kind, head, layers)
    for kind in ("llama", "gpt_neox")
    for head, layers in ((heads.eagle, None), (heads.eagle3, [1, 2, 3]))
]


def settings(tmp_path, kind="gpt_neox", head=heads.eagle3, layers=None, **given):
    """A run of a tiny random target with a tiny random head on its own vocabulary."""
    target = tiny.checkpoint(tmp_path / "target", kind)
    named = {} if layers is None else {"eagle_aux_hidden_state_layer_ids": layers}
    draft = heads.write(tmp_path / "head", head(), **named)
    text = tmp_path / "text"
    text.write_text("the quick brown fox jumps over the lazy dog " * 3)
    given = {"drafter": "eagle", "context": CONTEXT, "text": str(text), "depth": 3} | given
    return Settings(
        target=str(target), draft=str(draft), device="cpu", threads=1, ignore_eos=True, **given
    )


def pocket(**given):
    given = {"context": CONTEXT} | given
    return Settings(draft="pocket/eagle", drafter="eagle", device="cpu", threads=1, **given)


def play(run, check=None, new=NEW):
    """Decode after the text; returns all tokens, and each round as it was played."""
    loop, committed, rounds = run.loop, list(run.tokens), []
    loop.target.prefill(committed[:-1])
    loop.drafter.prefill(committed)
    for played in loop.rounds(committed, new_tokens=new, stop=frozenset()):
        rounds.append(played)
        if check:
            check(committed, played)
    return committed, rounds


def plain(run, committed, new=NEW):
    """Greedy decoding by the target alone, a token a forward."""
    decoder = CausalModel(run.target.model, Store(run.target.facts.layers, 400), run.device)
    tokens = list(committed)
    decoder.prefill(tokens[:-1])
    for _ in range(new):
        tokens.append(decoder.feed(torch.tensor(tokens[-1:])).argmax().item())
    return tokens


def fed_only(run, committed, length):
    """A head's store that was fed the first `length` tokens in one go, beside a fresh target."""
    head, target = run.draft.model, run.target
    read = CausalModel(target.model, Store(target.facts.layers, 200), run.device)
    read.features = Features(find_taps(target.model, head.form), 200)
    read.prefill(committed[:-1])
    fresh = HeadDecoder(head, Store(run.draft.facts.layers, 200), read)
    fresh.prefill(committed[:length])
    return fresh.store


@pytest.mark.parametrize(
    "given",
    [
        {"shape": "chain"},
        {"shape": "static-tree"},
        {"shape": "dynamic-tree", "nodes": 8},
        {"draft_cache": "sink-window", "window": 12, "sinks": 2},
    ],
    ids=lambda given: next(iter(given.values())),
)
@pytest.mark.parametrize(("kind", "head", "layers"), PAIRS)
def test_greedy_output_is_plain_greedy_decoding(tmp_path, kind, head, layers, given):
    """Whatever a random head drafts, in whatever shape and cache, the target's choices come out."""
    run = wire(settings(tmp_path, kind, head, layers, **given))
    drafted, rounds = play(run)
    assert drafted == plain(run, drafted[:CONTEXT])
    assert all(played.target_forwards == 1 for played in rounds)


def test_the_pocket_head_is_lossless_and_mostly_accepted():
    """Greedy output of the pocket target, in far fewer target forwards than tokens."""
    run = wire(pocket(depth=4, context=200, max_new_tokens=80))
    drafted, rounds = play(run, new=80)
    assert drafted == plain(run, drafted[:200], new=80)
    assert len(rounds) < 40
    assert any(played.accepted == 4 for played in rounds)


@pytest.mark.parametrize(("shape", "temperature"), [("chain", 0), ("chain", 1), ("static-tree", 1)])
@pytest.mark.parametrize("case", ["pocket", "tiny"])
def test_after_every_round_the_cache_is_one_fed_committed_tokens_only(
    tmp_path, case, shape, temperature
):
    """No key or value of a guess outlives its round: accepted tokens are fed anew."""
    given = {"temperature": float(temperature), "shape": shape, "seed": 3}
    run = wire(pocket(**given) if case == "pocket" else settings(tmp_path, **given))
    store = run.loop.drafter.draft.store

    def check(committed, played):
        assert played.draft_length == played.context
        fresh = fed_only(run, committed, played.context)
        assert store.length == fresh.length == played.context - 1
        for ours, theirs in zip(store.layers, fresh.layers, strict=True):
            for mine, other in ((ours.keys, theirs.keys), (ours.values, theirs.values)):
                rows = slice(0, store.length)
                assert torch.allclose(mine[:, :, rows], other[:, :, rows], atol=2e-5, rtol=1e-4)

    _, rounds = play(run, check)
    assert len(rounds) > 4
    if case == "pocket":
        assert any(played.accepted for played in rounds)


def test_draft_laws_are_the_heads_over_the_whole_vocabulary(tmp_path):
    """An id the head can't draft has probability 0; every row is a law."""
    run = wire(settings(tmp_path, temperature=1.0))
    known = run.draft.model.known_ids()
    _, rounds = play(run)
    laws = torch.cat([played.proposal.draft_probs for played in rounds])
    assert laws.shape[1] == tiny.VOCABULARY
    assert torch.allclose(laws.sum(-1), torch.ones(len(laws)))
    other = torch.ones(tiny.VOCABULARY, dtype=torch.bool).index_fill(0, known, value=False)
    assert (laws[:, other] == 0).all()
    drafted = {token for played in rounds for token in played.drafted}
    assert drafted <= set(known.tolist())
    assert len(drafted) > 10


def test_nothing_is_drafted_after_a_first_token(tmp_path):
    """No state stands before a text's first token: that round is plain, the next drafts."""
    run = wire(settings(tmp_path))
    committed = run.tokens[:1]
    rounds = list(run.loop.rounds(committed, new_tokens=6, stop=frozenset()))
    assert [len(each.drafted) for each in rounds[:2]] == [0, 3]
    assert committed == plain(run, committed[:1], new=6)


def test_a_head_is_asked_for(tmp_path):
    """Without --draft there is nothing to draft with."""
    made = settings(tmp_path)
    kind = type(wire(made).loop.drafter)
    with pytest.raises(UsageError, match="needs a head"):
        kind.load(Settings(draft=None), None)


def draft_gaps(tmp_path, pair, **given):
    """Return the draft gaps of a run's reached places, and how many of them follow a draft."""
    kind, head, layers = pair
    asked = settings(tmp_path, kind, head, layers, stops=1, max_new_tokens=NEW, **given)
    rounds, found = {}, []
    for one in Native().run(RunSpec(id="x", profile="t", settings=asked), []):
        match one:
            case Round():
                rounds[one.index] = one
            case Recheck():
                found += one.places
    assert len(found) > 10
    deep = sum(rounds[each.round].drafted[each.index].parent >= 0 for each in found)
    return [each.draft_gap for each in found], deep


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("shape", ["chain", "static-tree"])
def test_a_sound_heads_laws_are_told_again_without_its_cache(tmp_path, pair, shape):
    """Its first drafts and those that stand on its own answers, but for rounding in float32."""
    gaps, _ = draft_gaps(tmp_path, pair, shape=shape, temperature=1.0)
    assert max(gaps) < 1e-4


def test_a_head_that_keeps_its_own_guesses_acts_on_other_laws(tmp_path, monkeypatch):
    """What it drafted stays in its cache, beside its guesses at the target's states."""

    def propose(self, committed, depth):
        fed = torch.tensor(committed[self.draft.length :])
        return self.shape.grow(self.draft, fed, depth)

    monkeypatch.setattr(Eagle, "propose", propose)
    gaps, deep = draft_gaps(tmp_path, PAIRS[-1], temperature=2.0)
    assert deep > 0
    assert max(gaps) > 1e-3


def test_under_a_window_first_drafts_alone_are_told_again(tmp_path):
    """Attention by the order of the text has no place for a draft beside it."""
    gaps, deep = draft_gaps(tmp_path, PAIRS[-1], cache="sink-window", window=16, temperature=2.0)
    assert sum(each is None for each in gaps) == deep
    assert max(each for each in gaps if each is not None) < 1e-4
