"""Batches through the native backend: each sequence's rounds, bursts, baseline and recheck."""

import pytest
import torch
from transformers import AutoModelForCausalLM

import runs
import tiny
from runs import TEXT, kind
from specprof.backends.native import Native
from specprof.engine import batch
from specprof.errors import EnvironmentMissing, UsageError
from specprof.records import Burst, Plain, Prefill, Recheck, Round
from specprof.settings import RunSpec

USUAL = {"batch": 3}


def settings(pair, **changed):
    return runs.settings(pair, **(USUAL | changed))


def events(pair, **changed):
    return runs.events(pair, **(USUAL | changed))


def of_burst(found, wanted, burst):
    return [event for event in kind(found, wanted) if event.burst == burst.burst]


BATCHES = {
    "draft-model": {},
    "none": {"drafter": "none"},
    "ngram": {"drafter": "ngram", "draft": None},
    "self": {"drafter": "self", "draft": None},
    "layer-skip": {"drafter": "layer-skip", "draft": None, "exit_layer": 2},
    "perturbed-self": {"drafter": "perturbed-self", "draft": None, "noise": 0.3},
    "static-tree": {"shape": "static-tree", "widths": "3,1"},
    "dynamic-tree": {"shape": "dynamic-tree", "branch": 3, "nodes": 6},
}


@pytest.mark.parametrize("method", BATCHES)
def test_a_batch_decodes_every_stretch_of_the_text_as_plain_decoding_would(pair, method):
    """Whatever drafts, each sequence emits its own stretch's plain greedy continuation."""
    found = events(pair, stops=2, **BATCHES[method])
    model = AutoModelForCausalLM.from_pretrained(pair / "target", dtype=torch.float32)
    tokens = tiny.tokenizer()(TEXT)["input_ids"]
    for burst in kind(found, Burst):
        (prefill,) = of_burst(found, Prefill, burst)
        start = burst.sequence * (len(tokens) - 200) // 2
        emitted = [token for one in of_burst(found, Round, burst) for token in one.emitted]
        prompt = torch.tensor([tokens[start : start + prefill.context]])
        plain = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=12,
            min_new_tokens=12,
            eos_token_id=None,
        )
        assert emitted == plain[0, prefill.context :].tolist()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_sequence_of_a_batch_keeps_its_own_books(pair, temperature):
    """Contexts run on, caches hold what was committed, and a step's rounds share their times."""
    found = events(pair, temperature=temperature)
    rounds, bursts = kind(found, Round), kind(found, Burst)
    assert [one.index for one in rounds] == list(range(len(rounds)))
    assert [one.burst for one in bursts] == list(range(9))
    assert [one.sequence for one in bursts] == [0, 1, 2] * 3
    for burst in bursts:
        context = of_burst(found, Prefill, burst)[0].context
        played = of_burst(found, Round, burst)
        assert len(played) == burst.rounds
        for one in played:
            assert (one.sequence, one.context) == (burst.sequence, context)
            context += len(one.emitted)
            assert one.target_length == context - 1
            assert one.target_kv_bytes == (context - 1) * 2 * 3 * 2 * 8 * 4
        assert sum(len(one.emitted) for one in played) == burst.emitted == 12
    steps = {}
    for one in rounds:
        steps.setdefault((one.start_ns, one.wall_ns), []).append(one)
    for step in steps.values():
        assert {one.shared for one in step} == {len(step)}
        assert len({one.sequence for one in step}) == len(step)
    assert max(len(step) for step in steps.values()) == 3


def test_a_batch_is_timed_against_plain_decoding_of_the_same_batch(pair):
    """Every sequence has a recheck of its own; the baseline is told once a stop."""
    found = events(pair, stops=2, plain_steps=4, temperature=1.0)
    for burst in kind(found, Burst):
        (recheck,) = of_burst(found, Recheck, burst)
        used = {
            (one.index, place): drafted.seen
            for one in of_burst(found, Round, burst)
            for place, drafted in enumerate(one.drafted)
        }
        assert recheck.places
        for place in recheck.places:
            seen = used[place.round, place.index]
            assert place.target_prob == pytest.approx(seen.target_prob, abs=1e-3)
            assert place.draft_prob == pytest.approx(seen.draft_prob, abs=1e-3)
    assert [(one.burst, one.context) for one in kind(found, Plain)] == [(0, 140), (3, 212)]
    assert all(len(one.steps_ns) == 4 and min(one.steps_ns) > 0 for one in kind(found, Plain))


def test_a_run_told_to_stop_lets_its_sequences_go(pair, monkeypatch):
    """Closed in the middle of a burst, it leaves no loop set aside with its caches."""
    players = []

    class Recorded(batch.SequenceLoop):
        def __init__(self, *given):
            super().__init__(*given)
            players.append(self)

    monkeypatch.setattr(batch, "SequenceLoop", Recorded)
    running = Native().run(RunSpec(id="x", profile="test", settings=settings(pair)), ["run"])
    for event in running:
        if isinstance(event, Round):
            break
    assert not all(player.dead for player in players)
    running.close()
    assert all(player.dead for player in players)


def test_what_a_batch_cannot_keep_is_refused(pair):
    """A streaming cache keeps one sequence; too short a text has no three stretches."""
    with pytest.raises(UsageError, match="cache 'sink-window' was asked for batch 2"):
        events(pair, batch=2, cache="sink-window", window=64)
    with pytest.raises(UsageError, match="3 different stretches of 900 tokens"):
        events(pair, context=900)
    with pytest.raises(EnvironmentMissing, match="4 sequences"):
        events(pair, batch=4, context=10**12)
