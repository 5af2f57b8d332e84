"""The cache sink-window in whole runs: laws as rechecked without a cache, what is recorded."""

import gc

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import runs
import tiny
from runs import kind
from specprof.backends.native import Native
from specprof.caches import sink_window
from specprof.caches.sink_window import SinkWindow
from specprof.engine import decoder
from specprof.engine.decoder import CausalModel
from specprof.engine.setup import fits
from specprof.errors import EnvironmentMissing, UsageError
from specprof.records import Burst, Header, Note, Recheck, Round, Scored
from specprof.settings import RunSpec, Settings

USUAL = {"max_new_tokens": 24, "window": 24, "cache": "sink-window"}


def events(pair, **changed):
    return runs.events(pair, **(USUAL | changed))


CACHES = [
    {"cache": "sink-window"},
    {"cache": "sink-window", "draft_cache": "dense"},
    {"cache": "dense", "draft_cache": "sink-window"},
    {"cache": "sink-window", "block": 7, "sinks": 0},
    {"cache": "sink-window", "drafter": "layer-skip", "exit_layer": 2, "draft": None},
    {"cache": "dense", "draft_cache": "sink-window", "drafter": "self", "draft": None},
    {"cache": "sink-window", "drafter": "perturbed-self", "draft": None, "noise": 0.2},
    {"cache": "quantised"},
]


@pytest.mark.parametrize("caches", CACHES, ids=str)
def test_the_laws_acted_on_are_those_of_the_cache_free_reference(pair, caches):
    """Of target and draft, at every depth of the walk, after many rollbacks."""
    found = events(pair, temperature=1.0, **caches)
    seen = {
        (one.index, place): drafted.seen
        for one in kind(found, Round)
        for place, drafted in enumerate(one.drafted)
        if drafted.seen
    }
    places = [place for one in kind(found, Recheck) for place in one.places]
    assert len(places) > 20
    for place in places:
        used = seen[place.round, place.index]
        assert used.target_prob == pytest.approx(place.target_prob, abs=1e-3)
        assert used.draft_prob == pytest.approx(place.draft_prob, abs=1e-3)


def test_evictions_and_bytes_are_recorded_for_each_side(pair):
    """What no later token sees, and what is kept: the window, however deep the walk."""
    found = kind(events(pair, draft_cache="dense"), Round)
    for one in found:
        assert one.target_evicted == max(one.target_length - 28, 0)
        assert one.target_kv_bytes == 28 * 2 * 3 * 2 * 8 * 4
        assert one.draft_evicted is None
        assert one.draft_kv_bytes == one.draft_length * 2 * 2 * 2 * 8 * 4


def test_greedy_output_is_that_of_plain_streaming_decoding(pair):
    """A whole run, with a draft that streams and without any."""
    fast = kind(events(pair), Round)
    plain = kind(events(pair, drafter="none", draft=None, depth=0), Round)
    dense = kind(events(pair, cache="dense"), Round)
    for burst in range(3):
        texts = [
            [token for one in rounds if one.burst == burst for token in one.emitted]
            for rounds in (fast, plain, dense)
        ]
        assert texts[0] == texts[1]
    assert any(one.emitted != other.emitted for one, other in zip(plain, dense, strict=False)), (
        "the window changed nothing"
    )


@pytest.mark.parametrize("changed", [{}, {"cache": "dense"}], ids=str)
def test_a_scored_text_is_a_run_of_its_own(pair, changed):
    """The workload ppl: a header, the passes over the whole text, nothing drafted or decoded."""
    found = events(pair, workload="ppl", score_step=30, **changed)
    assert isinstance(found[0], Header)
    assert found[0].draft is None
    passes = kind(found, Scored)
    assert [one.context for one in passes] == [1, 31, 61, 91, 121, 151, 181]
    assert sum(len(one.nll) for one in passes) == 199
    assert not kind(found, Round)
    assert not kind(found, Burst)
    assert len(found) == 1 + len(passes) + len(kind(found, Note)) + sum(
        type(one).__name__ == "Sample" for one in found
    )
    streaming = not changed
    assert passes[-1].target_evicted == (199 - 28 if streaming else None)


def test_steps_of_a_scored_text_agree(pair):
    """One token a forward or sixty-four: the same numbers to the digits kept."""
    each, many = (
        [
            nll
            for one in kind(events(pair, workload="ppl", score_step=step), Scored)
            for nll in one.nll
        ]
        for step in (1, 64)
    )
    assert each == pytest.approx(many, rel=1e-3, abs=1e-4)


def test_stopping_a_scored_run_gives_everything_back(pair):
    """Closing the events midway, as Ctrl-C does, leaves nothing frozen."""
    given = Settings(
        target=str(pair / "target"),
        draft=None,
        text=str(pair / "text.txt"),
        device="cpu",
        threads=1,
        context=200,
        workload="ppl",
        score_step=4,
    )
    run = Native().run(RunSpec(id="x", profile="test", settings=given), ["run"])
    for one in run:
        if isinstance(one, Scored):
            break
    inside = torch.get_num_threads()
    run.close()
    assert (inside, torch.get_num_threads()) == (1, 1)
    assert gc.get_freeze_count() == 0


def test_layers_of_another_view_are_refused():
    """Chunked attention is no matter of distance: a moved sink would be in another chunk."""
    shape = tiny.SHAPE | {"layer_types": ["full_attention", "chunked_attention"] * 2}
    config = CONFIG_MAPPING["llama"](**tiny.SHAPE)
    made = AutoModelForCausalLM.from_config(config)
    made.config.layer_types = shape["layer_types"]
    with pytest.raises(UsageError, match="chunked_attention layers"):
        SinkWindow(Settings()).open(made, 100)


def test_the_store_takes_a_prefill_s_chunks_and_a_scored_step():
    """The largest feed of a run fits, even long after the first eviction."""
    made = tiny.model("llama", num_hidden_layers=1)
    asked = Settings(workload="ppl", score_step=700, window=30, context=3000)
    fast = CausalModel(made, SinkWindow(asked).open(made, 3100), torch.device("cpu"))
    for _ in range(4):
        assert fast.feed(torch.arange(700) % 96).shape == (700, 96)
    assert fast.store.layers[0].keys.shape[2] == 4 + 30 + 100 + 700


def test_a_context_that_only_fits_through_its_window_is_not_refused(pair, monkeypatch):
    """What is asked of memory is what the store holds, not what the text is long."""
    small = {"cache": "sink-window", "max_new_tokens": 4, "plain_steps": 0, "stops": 1}
    events(pair, **small)  # loads the models, whose weights need not fit again
    caches, logits = 120 * 2 * (3 + 2) * 2 * 8 * 4, (3 + 1) * 96 * fits.LOGIT_BYTES
    monkeypatch.setattr(fits, "_available", lambda _device: caches + logits)
    monkeypatch.setattr(sink_window, "PREFILL_CHUNK", 40)
    monkeypatch.setattr(decoder, "PREFILL_CHUNK", 40)
    assert kind(events(pair, **small), Round)
    with pytest.raises(EnvironmentMissing, match="--context"):
        events(pair, **(small | {"cache": "dense"}))
    with pytest.raises(EnvironmentMissing) as refusal:
        events(pair, **(small | {"window": 150}))
    assert "smaller --window" in refusal.value.hint
