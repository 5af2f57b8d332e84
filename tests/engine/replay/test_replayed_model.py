"""Replayed forwards are the eager ones, whoever records them: CUDA's spans, a CPU's scripts."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import tiny
from replays import CPU, UNSLIDING, TracingRecorder, feed_all, tokens
from specprof.drafters.perturbed_self import PerturbedDecoder
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import choose_path
from specprof.engine.record_ahead import record_missed, record_next
from specprof.engine.replay.cuda_graphs import MAX_SPAN_ROWS, CudaRecordings, choose_span
from specprof.engine.replay.model import MAX_REPLAYED_TOKENS, MIN_MISSES, ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import Store
from specprof.errors import SpecprofError


def spans(decoder):
    """Record as on CUDA, by a stand-in."""
    return CudaRecordings(decoder, TracingRecorder())


def pair(kind, path="auto", capacity=700, records=spans):
    """Return a replaying decoder and an eager one of the same model."""
    model = tiny.model(kind)
    layers = model.config.get_text_config().num_hidden_layers
    eager = choose_path(model, path)
    recorded = replace(eager, recorder=records)
    replayed = ReplayedModel(model, Store(layers, capacity), CPU, forwards=recorded)
    return replayed, CausalModel(model, Store(layers, capacity), CPU, forwards=eager)


CASES = [(spans, kind) for kind in tiny.ARCHITECTURES] + [
    (TorchScripts, kind) for kind in UNSLIDING
]


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize(("records", "kind"), CASES)
def test_replays_are_the_eager_forwards(records, kind, path):
    """For every architecture: other tokens, other places, after rollbacks, as recorded once."""
    decoders = pair(kind, path, records=records)
    for decoder in decoders:
        decoder.prefill(tokens(0, 20).tolist())
    decoders[0].record_widths([1, 2, 5])
    for number, count in enumerate([1, 5, 1, 5, 2, 5]):
        ours, theirs = feed_all(decoders, tokens(number, count))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
        for decoder in decoders:
            decoder.rollback(decoder.length - count // 2)
    assert not decoders[0].missed
    assert decoders[0].length == decoders[1].length
    assert decoders[0].forwards == decoders[1].forwards


def test_what_is_missed_often_is_recorded_between_rounds():
    """Here for the rows of a longer span; a forward that has no recording runs as ever."""
    decoders = pair("gpt_neox")
    for decoder in decoders:
        decoder.prefill(tokens(1, 254).tolist())
    replayed = decoders[0]
    replayed.record_widths([1])
    for number in range(2 + MIN_MISSES):  # the third of them is the first beyond row 256
        replayed.record_widths()
        ours, theirs = feed_all(decoders, tokens(number, 1))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    assert list(replayed.recordings.recordings) == [(1, 256)]
    assert replayed.missed == {(1, 512): MIN_MISSES}
    replayed.record_widths()
    assert sorted(replayed.recordings.recordings) == [(1, 256), (1, 512)]
    assert not replayed.missed
    for decoder in decoders:
        decoder.rollback(200)
    ours, theirs = feed_all(decoders, tokens(9, 1))
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("records", [spans, TorchScripts])
def test_an_answer_outlives_the_next_replay(records):
    """Laws wait, up to 32 rounds, before they are observed."""
    replayed, _ = pair("gpt_neox", records=records)
    replayed.prefill(tokens(0, 8).tolist())
    replayed.record_widths([1])
    first = replayed.feed(tokens(1, 1))
    kept = first.clone()
    replayed.feed(tokens(2, 1))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("records", [spans, TorchScripts])
def test_what_is_not_replayed_runs_as_ever(records):
    """Prefill, trees, wide forwards, forwards that somebody looks into."""
    decoders = pair("gpt_neox", records=records)
    replayed, _ = decoders
    replayed.record_widths([1, 3])
    assert not replayed.missed
    for decoder in decoders:
        decoder.prefill(tokens(0, 16).tolist())
    replayed.record_widths([MAX_REPLAYED_TOKENS + 1])
    assert torch.equal(*feed_all(decoders, tokens(1, MAX_REPLAYED_TOKENS + 1)))
    parents = torch.tensor([-1, -1, 0])
    found = [decoder.feed(tokens(2, 3), parents) for decoder in decoders]
    assert torch.equal(*found)
    for decoder in decoders:
        decoder.keep([0, 2])
    replayed.eager = True
    replayed.record_widths([1])
    assert torch.equal(*feed_all(decoders, tokens(3, 1)))
    assert not replayed.missed
    replayed.eager = False
    feed_all(decoders, tokens(3, 1))
    assert [count for count, _ in replayed.missed] == [1]


def test_a_span_may_be_too_long_to_be_worth_it():
    """Then nothing is missed, and nothing recorded."""
    replayed, _ = pair("gpt_neox", capacity=2 * MAX_SPAN_ROWS)
    replayed.prefill(tokens(0, 16).tolist())
    replayed.store.length = MAX_SPAN_ROWS  # as if so much had been fed
    replayed.record_widths([1])
    replayed.feed(tokens(3, 1))
    assert not replayed.missed
    assert not replayed.recordings.recordings


@pytest.mark.parametrize("records", [spans, TorchScripts])
def test_a_full_cache_is_refused_before_anything_is_written(records):
    """As an eager forward would be; and what has no room is not recorded."""
    replayed, _ = pair("gpt_neox", capacity=10, records=records)
    replayed.prefill(tokens(0, 8).tolist())
    replayed.record_widths([1, 2, 3])
    counts = [
        count for count in (1, 2, 3) if replayed.recordings.find(replayed.recordings.key(count))
    ]
    assert counts == [1, 2]
    replayed.feed(tokens(1, 2))
    with pytest.raises(SpecprofError, match="holds 10 tokens; 11 were asked"):
        replayed.feed(tokens(1, 1))
    assert replayed.length == 10


def test_spans_hold_what_they_are_for():
    """No more than an eighth longer than the text, or 256 rows; few of them; never too short."""
    lengths = range(1, MAX_SPAN_ROWS + 1)
    spans = [choose_span(length, 10**6) for length in lengths]
    assert all(length <= span for length, span in zip(lengths, spans, strict=True))
    assert all(s - n < max(256, n / 8 + 1) for n, s in zip(lengths, spans, strict=True))
    assert spans == sorted(spans)
    assert len(set(spans)) <= 16
    assert choose_span(300, 310) == 310


def test_a_decoder_within_another_is_made_ready():
    """The one around it changes logits alone."""
    replayed, target = pair("gpt_neox")
    replayed.prefill(tokens(0, 8).tolist())
    around = PerturbedDecoder(replayed, torch.neg)
    parts = SimpleNamespace(policy=SimpleNamespace(bound=3))
    loop = SimpleNamespace(parts=parts, target=target, drafter=SimpleNamespace(draft=around))
    record_next(loop)
    assert sorted(replayed.recordings.recordings) == [(1, 256), (2, 256)]
    for number in range(MIN_MISSES):
        around.feed(tokens(number, 3))
    record_missed(loop)
    assert (3, 256) in replayed.recordings.recordings


@pytest.mark.parametrize("records", [spans, TorchScripts])
def test_a_recording_that_fails_is_not_tried_again(records, monkeypatch):
    """A device out of memory records no more; the run goes on as it would without."""
    decoders = pair("gpt_neox", records=records)
    replayed, _ = decoders
    for decoder in decoders:
        decoder.prefill(tokens(0, 8).tolist())
    tried = []

    def fails(self, key):
        tried.append(key)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(replayed.recordings), "record", fails)
    for number in range(2 * MIN_MISSES):
        replayed.record_widths([1])
        assert torch.equal(*feed_all(decoders, tokens(number, 1)))
    assert len(tried) == 1
