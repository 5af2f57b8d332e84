"""The native backend on tiny checkpoints: what a capture holds, and that it is true."""

import gc

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import tiny
from runs import TEXT, events, kind, settings
from specprof.backends.native import Native
from specprof.engine import walk
from specprof.engine.batch import steps
from specprof.errors import EnvironmentMissing, SpecprofError, UsageError
from specprof.plan import acceptance_in_force, stops
from specprof.records import Burst, Header, Note, Plain, Prefill, Recheck, Round, Sample
from specprof.settings import EVIDENCE_DETAILS, RunSpec, Settings


def last_rounds(found):
    return {max(one.index for one in kind(found, Round) if one.burst == b) for b in range(3)}


def test_a_walk_is_bursts_of_prefill_and_rounds(pair):
    """Each stop prefills to its depth, decodes its tokens, and is closed by a Burst."""
    found = events(pair)
    assert isinstance(found[0], Header)
    assert [one.context for one in kind(found, Prefill)] == stops(settings(pair)) == [128, 160, 200]
    assert [one.fed for one in kind(found, Prefill)] == [127, 32, 40]
    bursts = kind(found, Burst)
    assert [one.emitted for one in bursts] == [12, 12, 12]
    assert [one.rounds for one in bursts] == [
        sum(each.burst == number for each in kind(found, Round)) for number in range(3)
    ]
    assert kind(found, Sample)[0].rss_bytes > 10_000_000


def test_time_is_accounted_for_to_the_nanosecond(pair):
    """Spans fit their round, and prefill and rounds fit their burst; the rest is derived."""
    found = events(pair)
    for one in kind(found, Round):
        top = sum(span.ns for span in one.spans if span.parent is None)
        assert 0 <= one.wall_ns - top
    for burst in kind(found, Burst):
        parts = [
            each.wall_ns
            for each in (*kind(found, Round), *kind(found, Prefill))
            if each.burst == burst.burst
        ]
        assert 0 <= burst.wall_ns - sum(parts)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_greedy_output_equals_transformers_plain_greedy(pair, depth):
    """Token for token the same as `generate` of the target alone, at every stop of the walk."""
    drafter = "draft-model" if depth else "none"
    found = events(pair, depth=depth, drafter=drafter)
    model = AutoModelForCausalLM.from_pretrained(pair / "target", dtype=torch.float32)
    tokens = tiny.tokenizer()(TEXT)["input_ids"]
    for prefill in kind(found, Prefill):
        emitted = [
            token
            for one in kind(found, Round)
            if one.burst == prefill.burst
            for token in one.emitted
        ]
        prompt = torch.tensor([tokens[: prefill.context]])
        plain = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=12,
            min_new_tokens=12,
            eos_token_id=None,
        )
        assert emitted == plain[0, prefill.context :].tolist()


@pytest.mark.parametrize(("deepest", "kept"), [(0, False), (4096, True)])
def test_rounds_are_held_only_for_a_recheck(pair, monkeypatch, deepest, kept):
    """A long run would otherwise hold all it has ever written."""
    made = []

    class Watched(walk.Stretch):
        def __init__(self, **given):
            super().__init__(**given)
            made.append(self)

    monkeypatch.setattr(walk, "Stretch", Watched)
    found = events(pair, recheck_context=deepest)
    assert [bool(each.rounds) for each in made] == [kept] * 3
    assert len(kind(found, Recheck)) == (3 if kept else 0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_recheck_of_a_sound_engine_finds_what_was_used(pair, temperature):
    """The cache-free reference agrees with every probability the run acted on.

    Left out are places whose prefix the length limit cut off, in a burst's last round.
    """
    found = events(pair, temperature=temperature)
    used = {
        (one.index, place): drafted.seen
        for one in kind(found, Round)
        for place, drafted in enumerate(one.drafted)
        if drafted.reached
    }
    again = [place for recheck in kind(found, Recheck) for place in recheck.places]
    unchecked = used.keys() - {(place.round, place.index) for place in again}
    assert len(again) > 20
    assert {number for number, _ in unchecked} <= last_rounds(found)
    for place in again:
        seen = used[place.round, place.index]
        assert place.overlap == pytest.approx(seen.overlap, abs=1e-3)
        assert place.target_prob == pytest.approx(seen.target_prob, abs=1e-3)
        assert place.draft_prob == pytest.approx(seen.draft_prob, abs=1e-3)


def test_a_draft_equal_to_its_target_accepts_all(pair):
    """Self-draft: the sanity check every engine must pass, at temperature 1 too."""
    for temperature in (0.0, 1.0):
        found = events(pair, draft=str(pair / "target"), temperature=temperature)
        rounds = kind(found, Round)
        assert sum(one.accepted for one in rounds) == sum(len(one.drafted) for one in rounds)


def test_the_same_seed_gives_the_same_tokens(pair):
    """Sampling is part of the run's specification."""

    def tokens(seed):
        return [one.emitted for one in kind(events(pair, temperature=1.0, seed=seed), Round)]

    assert tokens(3) == tokens(3)
    assert tokens(3) != tokens(4)


def test_plain_decoding_is_timed_beside_every_burst(pair):
    """The baseline costs no second run; a run that drafts nothing is its own."""
    found = kind(events(pair, plain_steps=5), Plain)
    assert [one.burst for one in found] == [0, 1, 2]
    assert all(len(one.steps_ns) == 5 and min(one.steps_ns) > 0 for one in found)
    assert [one.context for one in found] == [140, 172, 212]
    assert kind(events(pair, plain_steps=0), Plain) == []
    assert kind(events(pair, drafter="none", depth=0), Plain) == []


def test_generate_runs_one_free_burst(pair):
    """`generate` decodes from a prompt of the given length until its length is reached."""
    found = events(pair, workload="generate", context=50, max_new_tokens=40)
    assert [one.context for one in kind(found, Prefill)] == [50]
    assert kind(found, Burst)[0].emitted == 40


@pytest.mark.parametrize("detail", ["off", "rounds", "evidence", "module"])
def test_detail_levels_record_what_they_say(pair, detail):
    """off: no rounds, but bursts; rounds: counts and times; evidence: probabilities too."""
    found = events(pair, detail=detail)
    rounds = kind(found, Round)
    assert bool(rounds) == (detail != "off")
    assert all(one.rounds > 0 for one in kind(found, Burst))
    seen = any(drafted.seen for one in rounds for drafted in one.drafted)
    assert seen == (detail in EVIDENCE_DETAILS)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SpecprofError("broken", "mend it")])
@pytest.mark.parametrize("batch", [1, 2])
def test_what_was_played_before_a_failure_is_told(pair, monkeypatch, error, batch):
    """Rounds that still waited are handed over, in order; then the failure goes on."""

    def five(*given, **more):
        for number, step in enumerate(steps(*given, **more)):
            if number == 5:
                raise error
            yield step

    monkeypatch.setattr("specprof.engine.walk.steps", five)
    spec, found = RunSpec(id="1", profile="p", settings=settings(pair, batch=batch)), []
    with pytest.raises(type(error)):
        found.extend(Native().run(spec, []))
    assert len(kind(found, Round)) == 5 * batch
    assert [one.index for one in kind(found, Round)] == list(range(5 * batch))


def test_dummy_weights_need_no_weights_and_no_tokenizer(pair, tmp_path):
    """Real timing of a shape from its config.json alone."""
    (tmp_path / "config.json").write_bytes((pair / "target" / "config.json").read_bytes())
    found = events(pair, target=str(tmp_path), draft=str(tmp_path), load_format="dummy", text=None)
    assert kind(found, Burst)[0].emitted == 12


def test_different_vocabularies_are_refused(pair, tmp_path):
    """A drafted id must mean the same to both models."""
    other = tiny.checkpoint(tmp_path / "other")
    tiny.tokenizer(extra="%%").save_pretrained(other)
    with pytest.raises(UsageError, match="different vocabularies"):
        events(pair, draft=str(other))


@pytest.mark.parametrize("padded", ["target", "draft"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_embeddings_padded_past_the_tokenizer_are_cut_to_those_both_have(
    pair, tmp_path, padded, temperature
):
    """Qwen2.5's sizes share a tokenizer and have 151,936 or 152,064 rows: a pair all the same."""
    wide = tiny.checkpoint(tmp_path / "wide", seed=1, vocab_size=tiny.VOCABULARY + 32)
    found = events(pair, **{padded: str(wide)}, temperature=temperature)
    assert any("left out of both laws" in note.text for note in kind(found, Note))
    assert all(token < tiny.VOCABULARY for one in kind(found, Round) for token in one.emitted)
    assert kind(found, Recheck)[0].places


def test_a_checkpoint_that_lacks_weights_is_refused(pair, tmp_path):
    """They would be made up at random, and acceptance measured on them."""
    folder = tiny.checkpoint(tmp_path / "holed", seed=1)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        EnvironmentMissing, match=r"lacks weights .1 in all., for example model\.layers\.1\.mlp\.up"
    ):
        events(pair, target=str(folder))


def test_a_torn_checkpoint_is_told(pair, tmp_path):
    """A download cut short is no traceback."""
    folder = tiny.checkpoint(tmp_path / "torn", seed=1)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:5000])
    with pytest.raises(EnvironmentMissing, match="can't load model"):
        events(pair, target=str(folder))


def test_a_dtype_nothing_decodes_in_is_refused(pair):
    """Those that do are named."""
    with pytest.raises(UsageError, match="float8_e4m3fn"):
        events(pair, dtype="float8_e4m3fn")


def test_a_run_leaves_nothing_behind_that_no_collection_finds(pair):
    """A sweep's next run must be able to free this one's caches."""
    events(pair, stops=1)
    assert gc.get_freeze_count() == 0


def test_a_missing_model_is_told_with_a_remedy(pair):
    """A wrong path names the path and what would do."""
    with pytest.raises(EnvironmentMissing, match="can't load model '/no/such/place'"):
        events(pair, target="/no/such/place")


def test_a_context_beyond_the_text_is_refused(pair):
    """The text's own length is said."""
    with pytest.raises(UsageError, match="the text has 900"):
        events(pair, context=901)


def test_a_context_beyond_memory_is_refused_before_anything_is_recorded(pair):
    """The arithmetic is in the message: tokens times bytes against what is free."""
    with pytest.raises(EnvironmentMissing, match="GiB"):
        events(pair, context=10**12)


def test_a_draft_model_drafter_without_a_draft_is_refused(pair):
    """The drafter is named, and the two ways out."""
    with pytest.raises(UsageError, match="needs a draft model"):
        events(pair, draft=None)


def test_an_unknown_device_is_refused(pair):
    """The device is named, and what to use instead."""
    with pytest.raises(EnvironmentMissing, match="can't use device 'cuda:77'"):
        events(pair, device="cuda:77")
    with pytest.raises(EnvironmentMissing, match="can't use device 'meta'"):
        events(pair, device="meta")


def test_a_recurrent_model_is_refused(pair, tmp_path):
    """Its state can't be rolled back, so rejected drafts would stay in it."""
    config = '{"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 96}'
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UsageError, match="recurrent state"):
        events(pair, target=str(tmp_path), load_format="dummy")


def test_auto_acceptance_follows_the_temperature():
    """Greedy at temperature 0, rejection above; a named rule stays."""
    assert acceptance_in_force(Settings()) == "greedy"
    assert acceptance_in_force(Settings(temperature=0.5)) == "rejection"
    assert acceptance_in_force(Settings(acceptance="rejection")) == "rejection"


def test_stops_ascend_to_the_context_by_a_constant_factor():
    """As many short contexts as long ones; the last is the deepest asked for."""
    found = stops(Settings(context=20_000, stops=40))
    assert found[0] == 128
    assert found[-1] == 20_000
    assert found == sorted(set(found))
    assert stops(Settings(context=50, stops=9)) == [50]
