"""From played rounds to records: numbering, detail, and late reading on a device's clock."""

import torch

from engines import played as a_round
from specprof.acceptance.rejection import Rejection
from specprof.depths.fixed import Fixed
from specprof.engine import rounds
from specprof.engine.rounds import Scribe
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stopwatch import Stopwatch
from specprof.extend import Proposal
from specprof.settings import Settings

LOGITS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).log()


class LateClock:
    """Marks that can't be read until the device has passed them."""

    kind = "fake"
    late = True

    def __init__(self):
        self.made = 0
        self.passed = 0

    def mark(self):
        self.made += 1
        return self.made

    def between(self, start, end):
        assert end <= self.passed, "read a mark the device has not passed: this would wait"
        return 10 * (end - start)


def played(watch, context):
    watch.begin()
    with watch.span("draft"):
        pass
    with watch.span("verify"):
        pass
    proposal = Proposal(tokens=torch.tensor([1]), logits=LOGITS[:1], draft_probs=None)
    return a_round(
        proposal, LOGITS, path=[0], final=2, lap=watch.finish(), context=context, draft_forwards=1
    )


def scribe(detail="evidence", *, late=False):
    return Scribe(
        law=ProcessedLaw(1.0),
        acceptance=Rejection(),
        policy=Fixed(Settings()),
        detail=detail,
        origin_ns=0,
        late=late,
    )


def test_on_a_device_a_round_is_read_one_round_later():
    """No mark is read before the next round has been played; flush hands over the last."""
    clock = LateClock()
    watch, taken = Stopwatch(clock), scribe(late=True)
    assert list(taken.take(played(watch, 5), 0)) == []
    clock.passed = clock.made
    second = played(watch, 7)
    (first_record,) = taken.take(second, 0)
    assert (first_record.index, first_record.context, first_record.wall_ns) == (0, 5, 50)
    clock.passed = clock.made
    (last_record,) = taken.flush(0)
    assert (last_record.index, last_record.context) == (1, 7)
    assert [span.name for span in last_record.spans] == ["draft", "verify"]


def test_on_a_device_evidence_is_read_before_more_is_queued(monkeypatch):
    """A transfer waits for all that was queued before it: the new round's evidence comes after."""
    order, really = [], rounds.sight
    monkeypatch.setattr(rounds, "sight", lambda *a, **k: order.append("read") or really(*a, **k))
    queue = rounds.observe
    monkeypatch.setattr(rounds, "observe", lambda *a: order.append("queue") or queue(*a))
    clock = LateClock()
    clock.passed = 10**9
    watch, taken = Stopwatch(clock), scribe(late=True)
    for context in (5, 7):
        list(taken.take(played(watch, context), 0))
    assert order == ["queue", "read", "queue"]


def test_on_a_cpu_a_round_is_read_at_once():
    """Nothing waits where reading costs nothing."""
    clock = LateClock()
    clock.passed = 10**9
    taken = scribe()
    (record,) = taken.take(played(Stopwatch(clock), 5), 3)
    assert (record.burst, record.depth_asked, record.emitted) == (3, 1, [1, 2])
    assert record.final_target_prob == 0.8
    assert record.final_draft_prob is None
    assert record.drafted[0].seen.target_prob == 0.3
    assert list(taken.flush(3)) == []
    assert taken.observe_ns > 0


def test_lesser_detail_records_less():
    """rounds: no probabilities; off: no rounds at all."""
    clock = LateClock()
    clock.passed = 10**9
    (record,) = scribe("rounds").take(played(Stopwatch(clock), 5), 0)
    assert record.drafted[0].seen is None
    assert record.final_target_prob is None
    assert list(scribe("off").take(played(Stopwatch(clock), 5), 0)) == []
