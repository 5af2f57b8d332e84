"""Replayed forwards are the eager ones: what changes between two of them is read from a tensor."""

import pytest
import torch

import tiny
from specprof.engine.cache import Store
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import way
from specprof.engine.replay import LONGEST, MOST, ReplayedModel, spanned
from specprof.errors import SpecprofError
from traced import Traced

CPU = torch.device("cpu")


def pair(kind, path="auto", capacity=700):
    """Return a replaying decoder and an eager one of the same model."""
    model = tiny.model(kind)
    layers = model.config.get_text_config().num_hidden_layers
    runs = way(model, path).runs
    replayed = ReplayedModel(model, Store(layers, capacity), CPU, runs=runs, recorder=Traced())
    return replayed, CausalModel(model, Store(layers, capacity), CPU, runs=runs)


def tokens(seed, count):
    """Return [count] token ids."""
    return torch.randint(tiny.VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


def both(decoders, given):
    """Return what each decoder answers to the same tokens."""
    return [decoder.feed(given) for decoder in decoders]


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_replays_are_the_eager_forwards(kind, path):
    """For every architecture: other tokens, other places, after rollbacks, as recorded once."""
    decoders = pair(kind, path)
    for number, count in enumerate([20, 1, 5, 1, 5, 2, 5]):
        ours, theirs = both(decoders, tokens(number, count))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
        for decoder in decoders:
            decoder.rollback(decoder.length - count // 2)
    assert decoders[0].recorder.made == 3  # widths 1, 5 and 2; the first forward is prefill
    assert decoders[0].length == decoders[1].length
    assert decoders[0].forwards == decoders[1].forwards


def test_a_longer_text_takes_a_longer_span():
    """And its recording is another; rows beyond the text, written and rolled back, stay hidden."""
    decoders = pair("gpt_neox")
    for decoder in decoders:
        decoder.prefill(tokens(1, 254).tolist())
    for number in range(4):  # the second of them crosses row 256
        ours, theirs = both(decoders, tokens(number, 1))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    assert sorted(decoders[0].recordings) == [(1, 256), (1, 512)]
    for decoder in decoders:
        decoder.rollback(200)
    ours, theirs = both(decoders, tokens(9, 1))
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    assert decoders[0].recorder.made == 2


def test_an_answer_outlives_the_next_replay():
    """Laws wait, up to 32 rounds, before they are observed."""
    replayed, _ = pair("gpt_neox")
    replayed.prefill(tokens(0, 8).tolist())
    first = replayed.feed(tokens(1, 1))
    kept = first.clone()
    replayed.feed(tokens(2, 1))
    assert torch.equal(first, kept)


def test_what_is_not_replayed_runs_as_ever():
    """Prefill, trees, wide forwards, long texts, forwards whose hidden states are read."""
    replayed, eager = pair("gpt_neox", capacity=2 * LONGEST)
    decoders = replayed, eager
    for decoder in decoders:
        decoder.prefill(tokens(0, 16).tolist())
    both(decoders, tokens(1, MOST + 1))
    parents = torch.tensor([-1, -1, 0])
    found = [decoder.feed(tokens(2, 3), parents) for decoder in decoders]
    assert torch.equal(*found)
    for decoder in decoders:
        decoder.keep([0, 2])
    assert torch.equal(*both(decoders, tokens(1, MOST + 1)))
    for decoder in decoders:
        decoder.store.length = LONGEST  # as if so much had been fed
    replayed.feed(tokens(3, 1))
    assert replayed.recorder.made == 0


def test_forwards_are_recorded_ahead():
    """Every span that decoding so far may take; a round then finds them all."""
    decoders = pair("gpt_neox")
    for decoder in decoders:
        decoder.prefill(tokens(0, 250).tolist())
    replayed, recorder = decoders[0], decoders[0].recorder
    replayed.ready((1, 5), 20)
    assert sorted(replayed.recordings) == [(1, 256), (1, 512), (5, 256), (5, 512)]
    assert replayed.length == 250
    for number, count in enumerate([1, 5, 1, 5, 1]):
        ours, theirs = both(decoders, tokens(number, count))
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    assert recorder.made == 4


def test_nothing_is_recorded_ahead_that_has_no_room():
    """Nor where nothing has been fed, or somebody looks into forwards."""
    replayed, _ = pair("gpt_neox", capacity=10)
    replayed.ready((1, 5), 20)
    assert not replayed.recordings
    replayed.prefill(tokens(0, 8).tolist())
    replayed.eager = True
    replayed.ready((1, 5), 20)
    assert not replayed.recordings
    replayed.eager = False
    replayed.ready((1, 5), 20)
    assert list(replayed.recordings) == [(1, 10)]


def test_a_full_cache_is_refused_before_anything_is_written():
    """As an eager forward would be."""
    replayed, _ = pair("gpt_neox", capacity=10)
    replayed.prefill(tokens(0, 8).tolist())
    replayed.feed(tokens(1, 2))
    with pytest.raises(SpecprofError, match="holds 10 tokens; 11 were asked"):
        replayed.feed(tokens(1, 1))
    assert replayed.length == 10


def test_spans_hold_what_they_are_for():
    """No more than an eighth longer than the text, or 256 rows; few of them; never too short."""
    lengths = range(1, LONGEST + 1)
    spans = [spanned(length, 10**6) for length in lengths]
    assert all(length <= span for length, span in zip(lengths, spans, strict=True))
    assert all(s - n < max(256, n / 8 + 1) for n, s in zip(lengths, spans, strict=True))
    assert spans == sorted(spans)
    assert len(set(spans)) <= 16
    assert spanned(300, 310) == 310
