"""A batch against each of its sequences decoded alone: tokens, laws, caches, ends and failures."""

import random

import pytest
import torch

import tiny
from engines import decode
from engines import loop as wired_loop
from specprof.engine import batch
from specprof.engine.batch import Request, SharedModel, steps
from specprof.engine.decoder import CausalModel
from specprof.engine.stores.dense import Store
from specprof.errors import SpecprofError

CPU = torch.device("cpu")
KINDS = ("gpt_neox", "llama", "mistral", "gemma3_text")
CAPACITY = 160
ASTRAY = 0.1
"""Share of itself by which each of a draft's weights is off."""
SHAPES = {
    "chain": {"depth": 4},
    "static-tree": {"depth": 3, "widths": "3,2,1"},
    "dynamic-tree": {"depth": 3, "branch": 3, "nodes": 8},
}


def pair(kind):
    """A target, and a draft that agrees with it now and then: the same, somewhat astray."""
    target, draft = tiny.model(kind, 1), tiny.model(kind, 1)
    generator = torch.Generator().manual_seed(9)
    for weight in draft.parameters():
        weight.mul_(1 + ASTRAY * torch.randn(weight.shape, generator=generator))
    return target, draft


def prompts(count, seed=0):
    """Prompts of different lengths, past the sliding windows and short of them."""
    drawn = random.Random(seed)
    return [[drawn.randrange(1, tiny.VOCABULARY) for _ in range(5 + 9 * n)] for n in range(count)]


def stores(model, count):
    return [Store(model.config.num_hidden_layers, CAPACITY) for _ in range(count)]


def alone(model):
    return CausalModel(model, stores(model, 1)[0], CPU)


def table(model, count, *, waits_for_all=False):
    return SharedModel(model, stores(model, count), CPU, waits_for_all=waits_for_all)


def together(models, count, seed=0, **given):
    """Engines that sit at the same tables, each with draws of its own."""
    target, draft = models
    targets = table(target, count, waits_for_all=True).decoders
    drafts = table(draft, count).decoders if draft is not None else [None] * count
    return [wired_loop(targets[n], drafts[n], seed=seed + n, **given) for n in range(count)]


def begin(engines, texts):
    committed = [list(text) for text in texts]
    for loop, tokens in zip(engines, committed, strict=True):
        loop.target.prefill(tokens[:-1])
        loop.drafter.prefill(tokens)
    return committed


def play(engines, texts, *, new_tokens=24, stop=frozenset()):
    committed = begin(engines, texts)
    found = list(steps(engines, committed, new_tokens=new_tokens, stop=stop))
    return committed, found


def each_alone(models, texts, seed=0, new_tokens=24, stop=frozenset(), **given):
    target, draft = models
    found = []
    for number, text in enumerate(texts):
        decoders = alone(target), None if draft is None else alone(draft)
        loop = wired_loop(*decoders, seed=seed + number, **given)
        found.append(decode(loop, new_tokens=new_tokens, stop=stop, prompt=text))
    return [tokens for tokens, _ in found], [rounds for _, rounds in found]


def rounds_of(found, sequence):
    return [step[sequence] for step in found if sequence in step]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_sequence_decodes_as_it_does_alone(kind, shape):
    """Token for token and round for round, though all accept differently and end apart."""
    models, texts = pair(kind), prompts(4)
    committed, found = play(together(models, 4, shape=shape, **SHAPES[shape]), texts)
    expected, rounds = each_alone(models, texts, shape=shape, **SHAPES[shape])
    assert committed == expected
    for sequence, played in enumerate(rounds):
        ours = rounds_of(found, sequence)
        assert [one.path for one in ours] == [one.path for one in played]
        assert [one.drafted for one in ours] == [one.drafted for one in played]
    accepted = [[len(one.path) for one in rounds_of(found, n)] for n in range(4)]
    assert len({tuple(each) for each in accepted}) > 1, "the batch was never ragged"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_any_number_of_sequences(count, seed):
    """From one, which is the plain loop, to five."""
    models, texts = pair("llama"), prompts(count, seed)
    committed, _ = play(together(models, count, depth=3), texts)
    assert committed == each_alone(models, texts, depth=3)[0]


def test_plain_decoding_of_a_batch_is_plain_decoding_of_each():
    """Nothing drafted: the baseline of a batch."""
    models, texts = (tiny.model("gpt_neox", 1), None), prompts(3)
    committed, found = play(together(models, 3), texts)
    assert committed == each_alone(models, texts)[0]
    assert len(found) == 24


@pytest.mark.parametrize("seed", [3, 40, 500])
@pytest.mark.parametrize("kind", ["gpt_neox", "llama"])
def test_sampling_draws_what_each_sequence_draws_alone(kind, seed):
    """With a generator each, nobody's draws depend on the others: 216 draws, none at a float tie.

    A padded forward differs from a single one in the last bits; a draw so close would flip.
    """
    models, texts = pair(kind), prompts(3, seed)
    given = {"temperature": 0.9, "depth": 3}
    committed, found = play(together(models, 3, seed, **given), texts)
    expected, rounds = each_alone(models, texts, seed, **given)
    assert committed == expected
    for sequence, played in enumerate(rounds):
        for ours, theirs in zip(rounds_of(found, sequence), played, strict=True):
            assert torch.allclose(ours.target_logits, theirs.target_logits, atol=2e-4)
            assert torch.allclose(ours.proposal.draft_probs, theirs.proposal.draft_probs, atol=1e-5)


def test_a_policy_of_each_sequence_goes_its_own_way():
    """Drafting stops where each one's confidence does: requests at one table grow fewer."""
    models, texts = pair("llama"), prompts(4)
    given = {"depth": 5, "depth_policy": "confidence", "confidence": 0.06}
    committed, found = play(together(models, 4, **given), texts)
    expected, rounds = each_alone(models, texts, **given)
    assert committed == expected
    drafted = [[len(one.drafted) for one in rounds_of(found, n)] for n in range(4)]
    assert drafted == [[len(one.drafted) for one in played] for played in rounds]
    assert len({count for each in drafted for count in each}) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["chain", "static-tree"])
def test_after_every_step_all_caches_are_those_of_sequences_fed_alone(kind, shape):
    """Rows and lengths, of target and draft: rejected tokens and padding leave no trace."""
    models, texts = pair(kind), prompts(3)
    engines = together(models, 3, shape=shape, **SHAPES[shape])
    committed = begin(engines, texts)
    for step in steps(engines, committed, new_tokens=12, stop=frozenset()):
        for sequence in step:
            parts, tokens = engines[sequence], committed[sequence]
            assert parts.target.length == len(tokens) - 1
            for model, seat in zip(models, (parts.target, parts.drafter.draft), strict=True):
                fresh = alone(model)
                fresh.prefill(tokens[: seat.length])
                assert seat.kv_bytes == fresh.kv_bytes
                for ours, theirs in zip(seat.store.layers, fresh.store.layers, strict=True):
                    end = seat.length
                    assert torch.allclose(ours.keys[:, :, :end], theirs.keys[:, :, :end], atol=2e-4)
                    assert torch.allclose(
                        ours.values[:, :, :end], theirs.values[:, :, :end], atol=2e-4
                    )


@pytest.mark.parametrize(
    ("kind", "changed"),
    [*((kind, {}) for kind in KINDS), ("mistral", {"sliding_window": 2})],  # below a tree's height
)
def test_a_table_answers_any_mixture_as_each_would_be_answered_alone(kind, changed):
    """Chains, trees, idle rows, rollbacks and kept branches in any order, by chance but seeded."""
    model, drawn = tiny.model(kind, 2, **changed), random.Random(7)
    shared, lone = table(model, 3), [alone(model) for _ in range(3)]

    def tokens(count):
        return torch.tensor([drawn.randrange(1, tiny.VOCABULARY) for _ in range(count)])

    for _ in range(40):
        fed = {}
        for sequence in drawn.sample(range(3), drawn.randint(1, 3)):
            fresh = tokens(drawn.randint(1, 5))
            hangs = [drawn.randrange(-1, node) for node in range(len(fresh))]
            parents = torch.tensor(hangs) if drawn.random() < 0.4 else None
            fed[sequence] = Request(shared, fresh, parents)
        answers = shared.answer(fed)
        for sequence, request in fed.items():
            one, seat = lone[sequence], shared.decoders[sequence]
            expected = one.feed(request.tokens, request.parents)
            assert torch.allclose(answers[sequence], expected, atol=3e-4)
            for decoder in (one, seat):
                if request.parents is not None:
                    decoder.keep(longest_branch(request.parents.tolist()))
            back = max(0, one.length - drawn.randint(0, 4)) if one.length < 50 else 3
            for decoder in (one, seat):
                decoder.rollback(back)


def test_an_idle_row_between_two_that_are_fed_alike_stays_as_it_is():
    """The two need no ragged writing; what lies between them is longer, and is not theirs."""
    model, tokens = tiny.model("llama", 2), torch.arange(1, 13)
    shared, one = table(model, 3), alone(model)
    shared.answer({n: Request(shared, tokens[:6], None) for n in range(3)})
    shared.answer({1: Request(shared, tokens[6:9], None)})
    shared.answer({n: Request(shared, tokens[:2], None) for n in (0, 2)})
    one.prefill(tokens[:9].tolist())
    found = shared.answer({1: Request(shared, tokens[9:], None)})[1]
    assert torch.allclose(found, one.feed(tokens[9:]), atol=2e-4)


def longest_branch(parents):
    branch, node = [], len(parents) - 1
    while node >= 0:
        branch.insert(0, node)
        node = parents[node]
    return branch


@pytest.mark.parametrize("seed", [0, 5])
def test_a_sequence_that_ends_drops_out_and_the_others_go_on(seed):
    """Whoever meets its stop token first leaves; its rows are idle, and untouched, from there."""
    models, texts = pair("llama"), prompts(3, seed)
    free, _ = each_alone(models, texts, depth=3)
    stop = frozenset({free[1][len(texts[1]) + 4]})
    engines = together(models, 3, depth=3)
    committed, found = play(engines, texts, stop=stop)
    assert committed == each_alone(models, texts, depth=3, stop=stop)[0]
    assert len(committed[1]) <= len(texts[1]) + 5
    live = [len(step) for step in found]
    assert live == sorted(live, reverse=True)
    assert live[-1] < 3
    fresh = alone(models[0])
    fresh.prefill(committed[1][:-1])
    end = fresh.length
    ours, theirs = engines[1].target.store.layers[0], fresh.store.layers[0]
    assert torch.allclose(ours.keys[:, :, :end], theirs.keys[:, :, :end], atol=2e-4)


def test_rounds_of_a_step_share_their_times_and_one_target_forward():
    """A step begins and ends for all alike; its spans are each one's own and lie within it."""
    models, texts = pair("llama"), prompts(3)
    engines = together(models, 3, depth=2)
    calls = []
    hook = models[0].register_forward_hook(lambda *_: calls.append(1))
    committed = begin(engines, texts)
    calls.clear()
    found = list(steps(engines, committed, new_tokens=9, stop=frozenset()))
    hook.remove()
    assert len(calls) == len(found)
    before = 0
    for step in found:
        laps = [one.lap for one in step.values()]
        assert len({(lap.at_ns, lap.start, lap.end) for lap in laps}) == 1
        assert laps[0].start >= before
        before = laps[0].end
        for one in step.values():
            spans = [span for span in one.lap.spans() if span.parent is None]
            assert [span.name for span in spans] == ["draft", "verify", "accept", "rollback"]
            assert all(span.start_ns >= 0 for span in spans)
            assert spans[-1].start_ns + spans[-1].ns <= one.lap.wall_ns()
            assert one.target_forwards == 1


def test_a_failure_names_its_sequence_and_spoils_no_other(monkeypatch):
    """A NaN in one row ends the run with that row's number, though its forward was shared."""
    players = recorded(monkeypatch)
    target = tiny.model("llama", 1)
    target.get_input_embeddings().weight.data[7] = torch.nan
    texts = [[1, 2, 3], [4, 5, 6], [8, 9, 7], [1, 3, 2]]
    draft = tiny.model("llama", 1, num_hidden_layers=2)
    with pytest.raises(SpecprofError, match=r"sequence 2 of the batch: .* NaN") as raised:
        play(together((target, draft), 4, depth=2), texts, new_tokens=4)
    assert "--dtype float32" in raised.value.hint
    assert [player.dead for player in players] == [True] * 4


def recorded(monkeypatch):
    """The players a batch makes, as it makes them."""
    players = []

    class Recorded(batch.SequenceLoop):
        def __init__(self, *given):
            super().__init__(*given)
            players.append(self)

    monkeypatch.setattr(batch, "SequenceLoop", Recorded)
    return players


def test_closing_lets_every_player_go(monkeypatch):
    """A run that is told to stop leaves no loop set aside with its caches."""
    players = recorded(monkeypatch)
    engines = together(pair("llama"), 3, depth=2)
    found = steps(engines, begin(engines, prompts(3)), new_tokens=20, stop=frozenset())
    next(found)
    assert [player.dead for player in players] == [False] * 3
    found.close()
    assert [player.dead for player in players] == [True] * 3


def test_an_interrupt_in_the_middle_of_a_forward_lets_every_player_go(monkeypatch):
    """Ctrl-C arrives where it arrives."""
    players = recorded(monkeypatch)
    models = pair("llama")
    engines = together(models, 3, depth=2)
    committed = begin(engines, prompts(3))

    def interrupt(*_):
        raise KeyboardInterrupt

    models[1].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(steps(engines, committed, new_tokens=20, stop=frozenset()))
    assert [player.dead for player in players] == [True] * 3


def test_one_sequence_is_the_plain_loop(monkeypatch):
    """No greenlet is made for it."""
    players = recorded(monkeypatch)
    models = pair("llama")
    loop = wired_loop(alone(models[0]), alone(models[1]), depth=2)
    committed, _ = play([loop], prompts(1))
    assert committed == each_alone(models, prompts(1), depth=2)[0]
    assert players == []


def test_a_model_fed_in_inference_mode_is_refused():
    """The mode is the thread's: the next sequence would be played in it."""
    engines = together(pair("llama"), 2, depth=2)
    grow = engines[0].drafter.shape.grow
    engines[0].drafter.shape.grow = torch.inference_mode()(grow)
    with pytest.raises(SpecprofError, match="sequence 0 of the batch: a model was fed inside"):
        play(engines, prompts(2))
