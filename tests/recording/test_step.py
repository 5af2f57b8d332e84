"""A step of a batch: its rounds share its times, and each belongs to its own burst."""

from contextlib import ExitStack

import pytest

import loops
import specprof
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.summaries import steps
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.errors import UsageError
from specprof.records import Burst, Plain, Recheck, Round

PROMPTS = [[1, 2, 3], [4, 5], [6]]


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 3}
    return specprof.record(path, **(models | {"batch": 3} | settings))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


def describe(now, burst, loop):
    """Describe a round of a loop that proposes, verifies and judges by itself."""
    tokens, draft_logits = loop.propose(burst.committed)
    rows = loop.verify(burst.committed, tokens)
    now.drafted(tokens, draft_logits=draft_logits, target_logits=rows)
    accepted, final = loop.judge(tokens, draft_logits, rows)
    now.verdict(accepted, [*tokens[:accepted], final])


def play_batch(log, lengths):
    """Decode a burst of each length side by side; return their texts."""
    loop = loops.Loop(1)
    with ExitStack() as opened:
        bursts = [
            opened.enter_context(log.burst(prompt, request=number))
            for number, prompt in enumerate(PROMPTS[: len(lengths)])
        ]
        pairs = list(zip(bursts, lengths, strict=True))
        while going := [each for each, length in pairs if len(each.committed) < length]:
            with log.step() as step:
                with step.span("draft"), step.span("forward"):
                    sum(range(1000))
                with step.span("verify"):
                    sum(range(1000))
                for each in going:
                    describe(step.round(each), each, loop)
    return [each.committed for each in bursts]


@pytest.mark.parametrize("late", [False, True])
def test_rounds_of_a_step_share_its_times(tmp_path, monkeypatch, late):
    """Start, wall time and spans are the step's; a sequence that has ended has no share.

    The same on a device's clock, whose marks are read a round later.
    """
    monkeypatch.setattr("specprof.engine.instruments.stopwatch.HostClock.late", late)
    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        texts = play_batch(log, [90, 30, 60])
    by_start = {}
    for each in of_kind(path, Round):
        by_start.setdefault(each.start_ns, []).append(each)
    assert len(next(iter(by_start.values()))) == 3
    assert {len(each) for each in by_start.values()} == {3, 2, 1}
    for shared in by_start.values():
        assert {each.shared for each in shared} == {len(shared)}
        assert len({each.wall_ns for each in shared}) == 1
        assert all(each.spans == shared[0].spans for each in shared)
        assert [each.sequence for each in shared] == [each.burst for each in shared]
    spans = [(each.name, each.parent) for each in of_kind(path, Round)[0].spans]
    assert spans == [("draft", None), ("forward", "draft"), ("verify", None)]
    ends = {each.burst: each for each in of_kind(path, Burst)}
    grown = [len(text) - len(prompt) for text, prompt in zip(texts, PROMPTS, strict=True)]
    assert [ends[number].emitted for number in range(3)] == grown
    assert [ends[number].sequence for number in range(3)] == [0, 1, 2]


def test_a_batch_is_judged_as_the_engines_own(tmp_path):
    """Its times are counted once, each burst is rechecked, and no bug is found."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        play_batch(log, [300, 200, 250])
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    rounds = of_kind(path, Round)
    lasted = {each.start_ns: each.wall_ns for each in rounds}
    assert steps(columns).wall_ns.tolist() == list(lasted.values())
    assert steps(columns).emitted.sum() == sum(len(each.emitted) for each in rounds)
    checked = of_kind(path, Recheck)
    assert sorted(each.burst for each in checked) == [0, 1, 2]
    assert max(place.target_gap for each in checked for place in each.places) < 1e-4
    found = diagnose(Evidence(columns, name=str(path)))
    assert [each.rule for each in found.found if each.family == "bug"] == []


def test_a_place_in_the_batch_is_used_again(tmp_path):
    """By the next request, as in a server that fills free places."""
    path, loop = tmp_path / "run.jsonl", loops.Loop(2)
    with recorded(path, batch=2) as log, log.burst([1], request="long") as long:
        for number in range(3):
            with log.burst([2], request=number) as short:
                for _ in range(4):
                    with log.step() as step:
                        describe(step.round(long), long, loop)
                        describe(step.round(short), short, loop)
    places = {each.request: each.sequence for each in of_kind(path, Burst)}
    assert places == {"long": 0, "0": 1, "1": 1, "2": 1}


def test_plain_steps_of_a_batch_are_timed_once(tmp_path):
    """A step decodes a token of every sequence; the first open burst holds them."""
    path, loop = tmp_path / "run.jsonl", loops.Loop(2)
    with recorded(path, batch=2) as log:
        with log.burst([1], request="a") as one, log.burst([2], request="b") as other:
            with log.step() as step:
                with pytest.raises(UsageError, match="a plain step was timed, and a step is open"):
                    log.plain_step().__enter__()
                describe(step.round(one), one, loop)
                describe(step.round(other), other, loop)
            with log.plain_step():
                pass
            with log.plain_step():
                pass
    (plain,) = of_kind(path, Plain)
    assert plain.burst == 0
    assert len(plain.steps_ns) == 2


def test_a_wrong_call_is_refused_at_once(tmp_path):
    """And says what to do."""
    loop = loops.Loop()
    with recorded(tmp_path / "run.jsonl", batch=2) as log:
        with log.burst([1], request="a") as one, log.burst([2], request="b") as other:
            with log.burst([3], request="c") as third, log.step() as step:
                describe(step.round(one), one, loop)
                with pytest.raises(UsageError, match="burst 0 has a round in this step already"):
                    step.round(one)
                describe(step.round(other), other, loop)
                with pytest.raises(UsageError, match="3 rounds, and the batch is 2") as raised:
                    step.round(third)
                assert "batch=N" in raised.value.hint
                with pytest.raises(UsageError, match="a step is open already"):
                    log.step()
                with pytest.raises(UsageError, match="a step is open already"):
                    one.round()
                with pytest.raises(UsageError, match="a span is called"):
                    step.span("")
            with pytest.raises(UsageError, match="in a step that has ended"):
                step.round(one)
            with one.round() as now:
                with pytest.raises(UsageError, match="a round is open already"):
                    log.step()
                now.verdict(0, [4])
            with log.step() as step, pytest.raises(UsageError, match="that has ended"):
                step.round(third)
    with pytest.raises(UsageError, match="batch"):
        recorded(tmp_path / "other.jsonl", batch=0)


def play_without_verdict(log, one, other, loop):
    """Leave the second round of a step without its outcome."""
    with log.step() as step:
        describe(step.round(one), one, loop)
        step.round(other)


def play_ended(log, one, loop):
    """End a burst inside a step that holds a round of it."""
    with log.step() as step:
        describe(step.round(one), one, loop)
        with log.burst([3], request="c") as third:
            describe(step.round(third), third, loop)


def play_cut_short(log, one, loop):
    """Raise an error of one's own inside a step."""
    with log.step() as step:
        describe(step.round(one), one, loop)
        raise KeyError


def test_a_step_without_a_verdict_records_none_of_its_rounds(tmp_path):
    """Neither does one that an error cut short: what it committed is not known."""
    path, loop = tmp_path / "run.jsonl", loops.Loop()
    with recorded(path) as log:
        with log.burst([1], request="a") as one, log.burst([2], request="b") as other:
            with pytest.raises(UsageError, match="a round ended without a verdict"):
                play_without_verdict(log, one, other, loop)
            with pytest.raises(UsageError, match="in a burst that has ended"):
                play_ended(log, one, loop)
            with pytest.raises(KeyError):
                play_cut_short(log, one, loop)
            assert (one.committed, other.committed) == ([1], [2])
            with log.step() as step:
                describe(step.round(one), one, loop)
            with log.step():
                pass
    assert [(each.burst, each.shared) for each in of_kind(path, Round)] == [(0, 1)]


def test_a_batch_may_have_any_draft_and_cache(tmp_path):
    """What the engine can't batch, a loop of one's own may."""
    with recorded(tmp_path / "run.jsonl", drafter="eagle", cache="sink-window") as log:
        assert log.settings.batch == 3
