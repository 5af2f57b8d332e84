"""Replaying is decided by proof on the device, told in the header, and changes no token."""

import pytest
import torch

import heads
import tiny
from runs import events, kind
from specprof.engine import graphs
from specprof.engine.cache import PreallocatedLayer, Store
from specprof.engine.contest import entries
from specprof.engine.flat.proof import way
from specprof.engine.graphs import refusal
from specprof.engine.loop import Engine
from specprof.engine.replay import ReplayedModel
from specprof.errors import UsageError
from specprof.records import Header, Plain, Round
from specprof.settings import Settings
from traced import Traced

CPU = torch.device("cpu")


@pytest.fixture
def recording(monkeypatch):
    """Let the CPU record forwards, and return what does."""
    made = Traced()
    monkeypatch.setitem(graphs._recorders, CPU, made)
    return made


def emitted(found):
    """Return a run's tokens, round by round."""
    return [one.emitted for one in kind(found, Round)]


def facts(found):
    """Return what the header says of both models."""
    header = kind(found, Header)[0]
    return [(each.graphs, each.graphs_reason) for each in (header.target, header.draft) if each]


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_replayed_run_emits_what_an_eager_one_does(pair, recording, path, temperature):
    """At every depth of a walk, by both paths, drawn tokens too; and the header says so."""
    chosen = {"path": path, "temperature": temperature, "threads": 1}
    eager = events(pair, graphs="off", **chosen)
    assert recording.made == 0
    replayed = events(pair, **chosen)
    assert recording.made > 3
    assert emitted(replayed) == emitted(eager)
    assert facts(replayed) == [(True, None)] * 2
    assert facts(eager) == [(False, "they were turned off")] * 2


def test_no_round_is_spent_on_recording(pair, recording, monkeypatch):
    """What a burst will take is recorded before its first round, in nobody's time."""
    inside = []
    rightly = Engine._round

    def watched(self, *given):
        before = recording.made
        played = rightly(self, *given)
        inside.append(recording.made - before)
        return played

    events(pair, max_new_tokens=2, threads=1)  # proofs, and what warming up takes
    monkeypatch.setattr(Engine, "_round", watched)
    found = events(pair, threads=1)
    warm = len(inside) - sum(len(one) for one in [kind(found, Round)])
    plain = sum(len(one.steps_ns) for one in kind(found, Plain))
    assert sum(inside[warm - plain :]) == 0


def test_a_cpu_records_nothing(pair):
    """Automatically without a word but in the header; asked for it is refused."""
    told = (False, "only CUDA devices record them")
    assert facts(events(pair, max_new_tokens=2)) == [told, told]
    with pytest.raises(UsageError, match="graphs were asked for: only CUDA devices"):
        events(pair, graphs="on")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"draft_cache": "sink-window", "window": 32}, [None, "its cache moves rows"]),
        ({"cache": "quantised", "draft_cache": "dense"}, ["its cache moves rows", None]),
        ({"batch": 2}, ["a batch's forwards are padded anew"] * 2),
        ({"detail": "module"}, ["a replay has no modules"] * 2),
    ],
)
def test_what_can_not_be_replayed_is_told(pair, recording, changed, told):
    """Model by model; who asks for graphs by name gets the reason in place of a run."""
    found = facts(events(pair, max_new_tokens=2, **changed))
    assert [on for on, _ in found] == [reason is None for reason in told]
    for (_, reason), begins in zip(found, told, strict=True):
        assert (reason or "").startswith(begins or "")
    with pytest.raises(UsageError, match="graphs were asked for: "):
        events(pair, graphs="on", **changed)


def test_a_read_target_is_not_replayed(pair, recording, tmp_path):
    """A head reads states that no replay hands out: its target runs as ever, and says why."""
    heads.write(tmp_path, heads.eagle())
    found = facts(events(pair, drafter="eagle", draft=str(tmp_path), max_new_tokens=4))
    assert found[0] == (False, "its hidden states are read")


def tried(model, recorder):
    """Return why a model's forwards are not replayed."""
    layers = model.config.get_text_config().num_hidden_layers
    runs = way(model, "auto").runs
    return refusal(model, Store(layers, 64), recorder, runs=runs, settings=Settings())


def test_a_recording_that_freezes_a_place_is_found_out(monkeypatch):
    """A store that ignores where a recording writes answers rightly once, and never again."""
    rightly = PreallocatedLayer.update

    def frozen(self, keys, values):
        frame, self.store.frame = self.store.frame, None
        rightly(self, keys, values)
        self.store.frame = frame
        span = frame.span if frame else self.store.length + keys.shape[2]
        return self.keys[:, :, :span], self.values[:, :, :span]

    monkeypatch.setattr(PreallocatedLayer, "update", frozen)
    reason = tried(tiny.model("llama"), Traced())
    assert reason is not None
    assert reason.startswith("replayed logits differ by ")


def test_a_forward_that_waits_for_the_device_is_refused(monkeypatch):
    """It can't be recorded; what the recorder says is told."""
    model = tiny.model("llama")
    norm = model.model.norm
    rightly = norm.forward

    def asks(states):
        return rightly(states) * float(states.sum().item() != 0)

    monkeypatch.setattr(norm, "forward", asks)
    reason = tried(model, Traced())
    assert reason is not None
    assert reason.startswith("recording failed: ")


def test_a_model_is_proven_once(monkeypatch):
    """Every decoder of it after that is opened at once."""
    model, recorder = tiny.model("llama"), Traced()
    assert tried(model, recorder) is None
    made = recorder.made
    assert made == 2  # one for each width of the proof
    assert tried(model, recorder) is None
    assert recorder.made == made


def test_a_contest_on_such_a_device_plays_both(recording):
    """Replayed and eager forwards of both paths, for the ratio of the two."""
    base = Settings(target="pocket/target", draft="pocket/draft", depth=4, device="cpu")
    names = [each.name for each in entries(base) if each.settings.graphs == "off"]
    assert names == [
        f"{path} {loop} eager" for path in ("modules", "flat") for loop in ("plain", "K=4")
    ]
    del graphs._recorders[CPU]
    assert not [each for each in entries(base) if each.settings.graphs == "off"]


def test_an_opened_decoder_replays(recording):
    """The wiring's own way in."""
    model = tiny.model("gpt_neox")
    store = Store(model.config.num_hidden_layers, 64)
    runs = way(model, "auto").runs
    decoder = graphs.opened(model, store, CPU, 90, runs=runs, settings=Settings())
    assert isinstance(decoder, ReplayedModel)
    decoder.prefill([1, 2, 3])
    assert decoder.feed(torch.tensor([4])).shape == (1, 90)
    assert list(decoder.recordings) == [(1, 64)]
