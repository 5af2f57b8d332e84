"""From played rounds to records: numbers, waiting, detail, late reading on a device's clock."""

from types import SimpleNamespace

import pytest
import torch

from engines import decode, loop
from engines import played as a_round
from specprof.acceptance.rejection import Rejection
from specprof.depths.fixed import Fixed
from specprof.engine.instruments.stopwatch import Stopwatch
from specprof.engine.observe import round_recorder
from specprof.engine.observe.observe import PendingEvidence
from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal
from specprof.settings import Settings
from tables import TableDecoder

LOGITS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).log()


class LateClock:
    """Marks that can't be read until the device has passed them."""

    kind = "fake"
    late = True

    def __init__(self, *, passed=0):
        self.made = 0
        self.passed = passed

    def mark(self):
        self.made += 1
        return self.made

    def between(self, start, end):
        assert end <= self.passed, "read a mark the device has not passed: this would wait"
        return 10 * (end - start)


class Listener(Fixed):
    """A policy that wants to know what rounds took."""

    def __init__(self):
        super().__init__(Settings())
        self.told = []

    def timed(self, played):
        self.told.append((played.context, played.wall_ns))


def played(watch, context, *, took_s=0.0):
    watch.begin()
    with watch.span("draft"):
        pass
    with watch.span("verify"):
        pass
    proposal = Proposal(tokens=torch.tensor([1]), logits=LOGITS[:1], draft_probs=None)
    lap = watch.finish()
    lap.at_ns -= int(took_s * 1e9)
    return a_round(proposal, LOGITS, path=[0], final=2, lap=lap, context=context, draft_forwards=1)


def recorder(detail="evidence", *, late=False, policies=None, **given):
    return RoundRecorder(
        law=ProcessedLaw(1.0),
        acceptance=Rejection(),
        policies=policies or [Fixed(Settings())] * 2,
        detail=detail,
        origin_ns=0,
        late=late,
        **given,
    )


def contexts(records):
    return [each.context for each in records]


def test_on_a_device_a_round_is_read_one_round_later():
    """No mark is read before the next round has been played; flush hands over the last."""
    clock = LateClock()
    watch, taken = Stopwatch(clock), recorder(late=True, max_waiting=1)
    assert list(taken.take(played(watch, 5), 0)) == []
    clock.passed = clock.made
    second = played(watch, 7)
    (first_record,) = taken.take(second, 0)
    assert (first_record.index, first_record.context, first_record.wall_ns) == (0, 5, 50)
    clock.passed = clock.made
    (last_record,) = taken.flush()
    assert (last_record.index, last_record.context) == (1, 7)
    assert [span.name for span in last_record.spans] == ["draft", "verify"]


def test_on_a_device_the_rounds_of_one_step_wait_for_the_next():
    """What the first sequence queued is not read for the second, whose round is as old."""
    clock = LateClock()
    watch, taken = Stopwatch(clock), recorder(late=True, max_waiting=1)
    step = [played(watch, 5), played(watch, 6)]
    step[1].lap.at_ns = step[0].lap.at_ns
    for sequence, one in enumerate(step):
        assert list(taken.take(one, sequence, sequence=sequence)) == []
    clock.passed = clock.made
    assert contexts(taken.take(played(watch, 7), 0)) == [5, 6]


def test_on_a_device_evidence_is_read_before_more_is_queued(monkeypatch):
    """A transfer waits for all that was queued before it: the new rounds' evidence comes after."""
    order, really = [], PendingEvidence.read
    read = lambda pending: order.append("read") or really(pending)  # noqa: E731
    monkeypatch.setattr(PendingEvidence, "read", read)
    queue = round_recorder.observe
    monkeypatch.setattr(round_recorder, "observe", lambda *a: order.append("queue") or queue(*a))
    watch, taken = Stopwatch(LateClock(passed=10**9)), recorder(late=True, max_waiting=2)
    for context in (5, 7, 8, 9):
        list(taken.take(played(watch, context), 0))
    assert order == ["queue", "read", "queue"]


def test_on_a_device_a_slow_round_is_read_at_once():
    """A second's round: who follows the capture need not wait for the next one."""
    watch, taken = Stopwatch(LateClock(passed=10**9)), recorder(late=True)
    assert contexts(taken.take(played(watch, 5, took_s=1.0), 0)) == [5]


def test_rounds_wait_for_one_another_and_come_in_order():
    """So many at once, each with its own burst, sequence and number; the rest at the end."""
    watch, taken = Stopwatch(LateClock(passed=10**9)), recorder(max_waiting=4)
    found = [
        list(taken.take(played(watch, number), number // 3, sequence=number % 2))
        for number in range(6)
    ]
    assert [len(each) for each in found] == [0, 0, 0, 4, 0, 0]
    told = [*found[3], *taken.flush()]
    assert contexts(told) == [each.index for each in told] == list(range(6))
    assert [each.burst for each in told] == [0, 0, 0, 1, 1, 1]
    assert [each.sequence for each in told] == [0, 1, 0, 1, 0, 1]
    assert told[0].final_target_prob == 0.8
    assert told[0].final_draft_prob is None
    assert told[0].drafted[0].seen.target_prob == 0.3
    assert list(taken.flush()) == []
    assert taken.observe_ns > 0


def test_whether_more_follows_is_known_as_each_is_yielded():
    """So that a writer may write all of them at once."""
    watch, taken = Stopwatch(LateClock(passed=10**9)), recorder(max_waiting=3)
    more = [taken.more for number in range(3) for _ in taken.take(played(watch, number), 0)]
    assert more == [True, True, False]


@pytest.mark.parametrize(("took_s", "together"), [(0.09, 3), (0.15, 2), (0.3, 1)])
def test_no_round_waits_for_one_that_would_come_too_late(monkeypatch, took_s, together):
    """The next takes as long as this one: the first is read a fifth of a second later at most."""
    now, found = 0, []
    monkeypatch.setattr(round_recorder, "time", SimpleNamespace(perf_counter_ns=lambda: now))
    watch, taken = Stopwatch(LateClock(passed=10**9)), recorder()
    while not found:
        one = played(watch, 5)
        one.lap.at_ns, now = now, now + int(took_s * 1e9)
        found = list(taken.take(one, 0))
    assert len(found) == together


def test_a_large_vocabulary_holds_no_more_than_its_room(monkeypatch):
    """Logits that fill the room are read at once."""
    one = played(Stopwatch(LateClock(passed=10**9)), 5)
    size = LOGITS.nbytes + LOGITS[:1].nbytes
    monkeypatch.setattr(round_recorder, "MAX_WAITING_BYTES", 2 * size)
    taken = recorder()
    assert [len(list(taken.take(one, 0))) for _ in range(4)] == [0, 2, 0, 2]


@pytest.mark.parametrize("detail", ["off", "rounds", "evidence"])
def test_a_policy_is_told_a_rounds_time_before_the_next_is_asked_for(detail):
    """However long the rounds wait for their evidence; on a device a round later."""
    listener = Listener()
    watch = Stopwatch(LateClock(passed=10**9))
    taken = recorder(detail, policies=[listener])
    for number in range(3):
        list(taken.take(played(watch, number), 0))
        assert listener.told == [(each, 50) for each in range(number + 1)]
    clock = LateClock()
    listener = Listener()
    watch, taken = Stopwatch(clock), recorder(detail, policies=[listener], late=True)
    for number in range(3):
        one = played(watch, number)
        list(taken.take(one, 0))
        assert contexts_told(listener) == list(range(number))
        clock.passed = clock.made
    list(taken.flush())
    assert contexts_told(listener) == [0, 1, 2]


def contexts_told(listener):
    return [context for context, _ in listener.told]


def test_lesser_detail_records_less():
    """rounds: no probabilities; off: no rounds at all; module: what evidence has."""
    watch = Stopwatch(LateClock(passed=10**9))
    (record,) = recorder("rounds", max_waiting=1).take(played(watch, 5), 0)
    assert record.drafted[0].seen is None
    assert record.final_target_prob is None
    off = recorder("off", max_waiting=1)
    assert [*off.take(played(watch, 5), 0), *off.flush()] == []
    (record,) = recorder("module", max_waiting=1).take(played(watch, 5), 0)
    assert record.final_target_prob == 0.8


@pytest.mark.parametrize("given", [{}, {"shape": "static-tree", "widths": "2,2"}])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_records_do_not_depend_on_what_waits_together(temperature, given):
    """Seven rounds at a time, or one by one: the same lines."""
    tables = [torch.randn(7, 7, generator=torch.Generator().manual_seed(each)) for each in (1, 2)]
    wired = loop(*map(TableDecoder, tables), temperature=temperature, depth=3, **given)
    _, run = decode(wired, new_tokens=50)
    told = []
    for most in (1, 7):
        taken = RoundRecorder(
            law=wired.parts.law,
            acceptance=wired.acceptance,
            policies=[wired.parts.policy],
            detail="evidence",
            origin_ns=0,
            late=False,
            max_waiting=most,
        )
        told.append([*(each for one in run for each in taken.take(one, 0)), *taken.flush()])
    assert told[0] == told[1]
    assert len(told[0]) == len(run)
