"""Replaying is decided by proof on the device, told in the header, and changes no token."""

import weakref
from functools import partial

import pytest
import torch

import heads
import tiny
from replays import CPU, TracingRecorder
from runs import events, kind
from specprof.bench import contest
from specprof.bench.contest import entries
from specprof.engine.flat.proof import choose_path
from specprof.engine.loop import Loop
from specprof.engine.patch import swapped
from specprof.engine.replay import decision
from specprof.engine.replay.cuda_graphs import CudaRecordings
from specprof.engine.replay.decision import decide, open_decoder
from specprof.engine.replay.model import ReplayedModel
from specprof.engine.replay.torchscript import TorchScripts
from specprof.engine.stores.dense import PreallocatedLayer, Store
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore
from specprof.engine.walk import Walk
from specprof.errors import UsageError
from specprof.records import Header, Prefill, Round
from specprof.settings import Settings


@pytest.fixture
def cuda(monkeypatch):
    """Let the CPU record as CUDA does, by a stand-in, and return that."""
    made = TracingRecorder()
    records = partial(CudaRecordings, recorder=made)
    for module in (decision, contest):
        monkeypatch.setattr(module, "recorder_for", lambda device: records)
    monkeypatch.setattr(decision, "_proven", weakref.WeakKeyDictionary())
    return made


def emitted(found):
    """Return a run's tokens, round by round."""
    return [one.emitted for one in kind(found, Round)]


def facts(found):
    """Return what the header says of both models."""
    header = kind(found, Header)[0]
    return [(each.graphs, each.graphs_reason) for each in (header.target, header.draft) if each]


def eager_and_replayed(pair, path, temperature):
    """Return two runs that should emit the same."""
    chosen = {"path": path, "temperature": temperature, "threads": 1}
    return events(pair, graphs="off", **chosen), events(pair, **chosen)


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_run_replayed_on_a_cpu_emits_what_an_eager_one_does(pair, path, temperature):
    """At every depth of a walk, by both paths, drawn tokens too; and the header says so."""
    eager, replayed = eager_and_replayed(pair, path, temperature)
    assert emitted(replayed) == emitted(eager)
    assert facts(eager) == [(False, "they were turned off")] * 2
    assert facts(replayed) == [(True, None)] * 2


@pytest.mark.parametrize("path", ["flat", "modules"])
def test_so_does_one_replayed_as_on_cuda(pair, cuda, path):
    """The recordings of spans stand for CUDA's."""
    eager, replayed = eager_and_replayed(pair, path, 0.0)
    assert cuda.made > 3
    assert emitted(replayed) == emitted(eager)
    assert facts(replayed) == [(True, None)] * 2


def test_no_round_is_spent_on_recording(pair, cuda, monkeypatch):
    """What a burst will take is recorded before its first round, in nobody's time."""
    inside = []
    rightly = Loop._round

    def watched(self, *given):
        before = cuda.made
        played = rightly(self, *given)
        inside.append(cuda.made - before)
        return played

    monkeypatch.setattr(Loop, "_round", watched)
    events(pair, threads=1)
    assert cuda.made > 3
    assert inside
    assert not any(inside)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"draft_cache": "sink-window", "window": 32}, [None, "its cache moves rows"]),
        ({"cache": "quantised", "draft_cache": "dense"}, ["its cache moves rows", None]),
        ({"batch": 2}, ["a batch's forwards are padded anew"] * 2),
        ({"detail": "module"}, ["a replay has no modules"] * 2),
    ],
)
def test_what_cuda_can_not_replay_is_told(pair, cuda, changed, told):
    """Model by model; who asks for graphs by name gets the reason in place of a run."""
    assert begun_alike(reasons(pair, changed), told)
    assert refused(pair, changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"draft_cache": "sink-window", "window": 32}, [None, None]),
        ({"cache": "quantised", "draft_cache": "dense"}, ["its cache holds rows", None]),
        ({"batch": 2}, ["a batch's forwards are padded anew"] * 2),
        ({"detail": "module"}, ["a replay has no modules"] * 2),
    ],
)
def test_what_a_cpu_can_not_replay_is_told(pair, changed, told):
    """The same, less a window."""
    assert begun_alike(reasons(pair, changed), told)
    assert refused(pair, changed) == any(told)


def reasons(pair, changed):
    """Return why each model's forwards were not replayed; None where they were."""
    found = facts(events(pair, max_new_tokens=2, **changed))
    return [None if replayed else reason for replayed, reason in found]


def begun_alike(found, told):
    """Return whether every reason begins as told, and stands only where one is."""
    return all(
        (reason is None) == (begins is None) and (reason or "").startswith(begins or "")
        for reason, begins in zip(found, told, strict=True)
    )


def refused(pair, changed):
    """Return whether the same run is refused where graphs are asked for by name."""
    try:
        events(pair, graphs="on", max_new_tokens=2, **changed)
    except UsageError as trouble:
        return trouble.title.startswith("graphs were asked for: ")
    return False


def test_a_large_model_and_a_sliding_one_are_not_scripted(monkeypatch):
    """Where it isn't worth it, and where a forward's shape depends on the length."""
    assert tried(tiny.model("mistral"), TorchScripts) == (
        "its layers slide: what they compute depends on the length"
    )
    monkeypatch.setattr("specprof.engine.flat.proof.MAX_BYTES_HELD_TWICE", 100)
    assert str(tried(tiny.model("llama"), TorchScripts)).startswith("it is so large")
    assert tried(tiny.model("llama"), None) == "nothing records them on its device"


@pytest.mark.parametrize("recorded", ["cpu", "cuda"])
def test_angles_that_depend_on_the_length_are_not_recorded(recorded):
    """They change beyond a length the proof never comes to: a recording would go on as before."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    model = tiny.model("llama", rope_parameters=rope)
    told = tried(model, as_cuda if recorded == "cuda" else TorchScripts)
    assert told == "the angles of its dynamic RoPE depend on the length"


def test_layers_of_an_unknown_view_are_not_scripted():
    """Chunked attention is causal in the proof's few tokens, and no longer beyond a chunk."""
    model = tiny.model("llama")
    model.config.layer_types = ["chunked_attention"] * model.config.num_hidden_layers
    assert str(tried(model, TorchScripts)).startswith("it has chunked_attention layers")


def test_a_read_target_is_not_replayed(pair, tmp_path):
    """A head reads states that no replay hands out: its target runs as ever, and says why."""
    heads.write(tmp_path, heads.eagle())
    found = facts(events(pair, drafter="eagle", draft=str(tmp_path), max_new_tokens=4))
    assert found[0] == (False, "its hidden states are read")
    with pytest.raises(UsageError, match="graphs were asked for: its hidden states are read"):
        events(pair, drafter="eagle", draft=str(tmp_path), graphs="on")


def tried(model, records):
    """Return why a model's forwards are not replayed."""
    layers = model.config.get_text_config().num_hidden_layers
    return unreplayed(model, Store(layers, 64), records)


def unreplayed(model, store, records):
    """Return why a model's forwards over a store are not replayed."""
    with swapped(decision, recorder_for=lambda device: records):
        return decide(model, store, CPU, Settings()).replay_reason


def as_cuda(decoder):
    """Make recordings as on CUDA."""
    return CudaRecordings(decoder, TracingRecorder())


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
    reason = tried(tiny.model("llama"), as_cuda)
    assert reason is not None
    assert reason.startswith("replayed logits differ by ")


@pytest.mark.parametrize("records", [as_cuda, TorchScripts])
def test_a_recorder_that_fails_is_told_of(records, monkeypatch):
    """Whatever it says: the eager way is always there."""
    model = tiny.model("llama")

    def fails(*_, **__):
        raise AttributeError("there is no tracing any more")

    monkeypatch.setattr(TracingRecorder, "record", fails)
    monkeypatch.setattr("specprof.engine.replay.torchscript.trace", fails)
    assert tried(model, records) == "recording failed: there is no tracing any more"


def test_a_forward_that_waits_for_the_device_is_refused(monkeypatch):
    """CUDA records no such thing, nor does what stands in for it."""
    model = tiny.model("llama")
    norm = model.model.norm
    rightly = norm.forward

    def asks(states):
        return rightly(states) * float(states.sum().item() != 0)

    monkeypatch.setattr(norm, "forward", asks)
    assert str(tried(model, as_cuda)).startswith("recording failed: ")


def test_a_forward_that_looks_at_its_tokens_is_found_out(monkeypatch):
    """A script freezes what Python made of the tokens it was recorded with."""
    model = tiny.model("llama")
    embed = model.model.embed_tokens
    rightly = embed.forward
    monkeypatch.setattr(embed, "forward", lambda tokens: rightly(tokens) * float(tokens.sum()))
    assert str(tried(model, TorchScripts)).startswith("replayed logits differ by ")


def test_of_no_numbers_nothing_is_proven():
    """The run goes on, to say in its own words which model's logits aren't any."""
    model = tiny.model("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    assert choose_path(model, "auto").path_reason == "its logits hold NaN or infinity"
    assert tried(model, TorchScripts) == "its logits hold NaN or infinity"


def test_a_model_is_proven_once():
    """Every decoder of it after that is opened at once."""
    model, recorder = tiny.model("llama"), TracingRecorder()
    records = partial(CudaRecordings, recorder=recorder)
    assert tried(model, records) is None
    made = recorder.made
    assert made == 2  # one for each width of the proof
    assert tried(model, records) is None
    assert recorder.made == made


def test_a_contest_plays_replayed_and_eager():
    """For the ratio of the two."""
    base = Settings(target="pocket/target", draft="pocket/draft", depth=4, device="cpu")
    names = [each.name for each in entries(base) if each.settings.graphs == "off"]
    assert names == ["modules K=4 eager", "flat K=4 eager"]


def test_a_window_is_proven_too(monkeypatch):
    """What is right of a cache that keeps all may be wrong where sinks are turned."""
    model = tiny.model("llama")
    window = WindowStore(rotations(model), Window(4, 30), 90, reach=8, rows=90)
    dense = Store(model.config.num_hidden_layers, 64)
    rightly = TorchScripts._arguments

    def late(self, place):
        """Stand the sinks where the first forward's stood."""
        given = list(rightly(self, place))
        if place.visible is not None:
            self.first = getattr(self, "first", given[4:6])
            given[4:6] = self.first
        yield from given

    monkeypatch.setattr(TorchScripts, "_arguments", late)
    told = {type(store): unreplayed(model, store, TorchScripts) for store in (dense, window)}
    assert told[Store] is None
    assert str(told[WindowStore]).startswith(("replayed logits differ by ", "recording failed: "))


def test_perturbed_logits_come_of_replayed_forwards(pair):
    """The header tells of the decoder within."""
    found = events(pair, drafter="perturbed-self", draft=None, noise=0.1, max_new_tokens=2)
    assert facts(found) == [(True, None)] * 2


def test_plain_steps_are_replayed_where_rounds_were(pair, monkeypatch):
    """Where a burst ends in another state of the cache than it began in, or plain decoding does.

    Else the baseline would be slower than it need be, and any speed-up flattered.
    """
    eager = []
    rightly, plain = ReplayedModel._forward, Walk._plain

    def heard(self, tokens, keep, parents=None):
        before = sum(self.missed.values())
        logits = rightly(self, tokens, keep, parents)
        eager.append(sum(self.missed.values()) > before)
        return logits

    def timed(self, sequences):
        eager.clear()
        found = list(plain(self, sequences))
        told.append(eager.copy())
        return iter(found)

    told = []
    monkeypatch.setattr(ReplayedModel, "_forward", heard)
    monkeypatch.setattr(Walk, "_plain", timed)
    settings = {"cache": "sink-window", "sinks": 5, "max_new_tokens": 6, "plain_steps": 6}
    found = events(pair, context=24, window=25, threads=1, **settings)
    assert max(one.context for one in kind(found, Prefill)) == 24  # all is seen up to token 30
    assert told
    assert all(len(steps) == 6 and not any(steps) for steps in told)


def test_an_opened_decoder_replays():
    """The wiring's own way in."""
    model = tiny.model("gpt_neox")
    store = Store(model.config.num_hidden_layers, 64)
    decoder = open_decoder(model, store, CPU, 90, decide(model, store, CPU, Settings()))
    assert isinstance(decoder, ReplayedModel)
    decoder.prefill([1, 2, 3])
    decoder.record_widths([1])
    assert decoder.feed(torch.tensor([4])).shape == (1, 90)
    assert not decoder.missed
