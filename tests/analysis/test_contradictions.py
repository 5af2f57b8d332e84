"""What in a capture can't all be true is found, and nothing in a healthy one is."""

import msgspec
import pytest

from astray import judged
from captures import events
from specprof.analysis import cost_model
from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions
from specprof.analysis.evidence import Evidence
from specprof.backends._tables import FAULTS
from specprof.errors import MissingEvidence
from specprof.recheck_records import ProcessedRows, ShiftedRows
from specprof.records import Burst, End, Plain, Prefill, Recheck, Round, Scored

replace = msgspec.structs.replace
LONG = {"stops": 6, "max_new_tokens": 120, "context": 4000}
TEXT = {"workload": "ppl", "context": 900, "cache": "sink-window", "window": 256}
WAYS = [LONG, LONG | {"batch": 3}, LONG | {"shape": "static-tree"}, TEXT, {"drafter": "none"}]
SECOND = 10**9


def found(made):
    """Return what the events' contradictions are of, and in words."""
    columns = Columns()
    columns.feed(made)
    return [(each.of, each.told) for each in contradictions(columns)]


def changed(kind, at=0, **changes):
    """Return a long capture with one line of a kind changed, the `at`-th."""
    made = events(**LONG)
    place = [i for i, event in enumerate(made) if isinstance(event, kind)][at]
    made[place] = replace(made[place], **changes)
    return made


def doubled(kind, **settings):
    """Return a capture with the first line of a kind told twice."""
    made = events(**(settings or LONG))
    place = next(i for i, event in enumerate(made) if isinstance(event, kind))
    return [*made[: place + 1], *made[place:]]


@pytest.mark.parametrize("way", WAYS)
def test_a_healthy_capture_agrees_with_itself_at_every_stage(way):
    """Chains, batches, trees, known text and baselines, however much of them is there."""
    made, columns = events(**way), Columns()
    for start in range(0, len(made), 40):
        columns.feed(made[start : start + 40])
        assert not contradictions(columns)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_broken_engine_contradicts_nothing(fault):
    """A bug is in what the engine does, and the file tells it truly."""
    assert not found(events(fault, **LONG))


COUNTS = [
    (doubled(Round), "1 round is recorded more than once, the first is round 0"),
    (doubled(Prefill), "the prefills of a burst are recorded more than once"),
    (doubled(Burst), "the ends of a burst are recorded more than once"),
    (doubled(Plain), "the plain steps of a burst are recorded more than once"),
    (doubled(Recheck), "the recheck of a token is recorded more than once"),
    (doubled(Scored, **TEXT), "known text is scored more than once, or out of order"),
    (changed(End, rounds=7), "its end line counts 7 rounds, and"),
    (changed(End, emitted=7), "its end line counts 7 tokens, and its rounds emit"),
    (changed(Round, at=-1, index=10**9), "one is numbered 1,000,000,000, from 0"),
    (changed(Burst, rounds=1), "the end of burst 0 counts 1 rounds and"),
]


@pytest.mark.parametrize(("made", "told"), COUNTS)
def test_counts_that_disagree_are_said(made, told):
    """Each line twice, and each count that no lost line could explain."""
    of, words = found(made)[0]
    assert of == "counts"
    assert told in words


def test_rounds_in_another_order_are_said():
    """Told once each, but not as they were played."""
    header, *rest = events(**LONG)
    rounds = [event for event in rest if isinstance(event, Round)]
    others = [event for event in rest if not isinstance(event, Round)]
    told = found([header, *reversed(rounds), *others])
    last = len(rounds) - 1
    words = f"rounds are out of order: round {last - 1} stands behind round {last}"
    assert told[0] == ("counts", words)


def test_outcomes_that_disagree_are_said():
    """A count of accepted drafts beside the drafts marked so; rechecked tokens that are none."""
    one = next(each for each in events(**LONG) if isinstance(each, Round) and each.accepted)
    told = found(changed(Round, at=one.index, accepted=one.accepted - 1))
    assert (
        "the accepted counts of some rounds differ from the drafted tokens marked accepted"
        in told[0][1]
    )
    recheck = next(each for each in events(**LONG) if isinstance(each, Recheck))
    beyond = [*recheck.emitted[:-1], replace(recheck.emitted[-1], slot=50)]
    assert found(changed(Recheck, emitted=beyond))[0][1].startswith("the recheck holds tokens")


def test_rounds_without_a_law_that_hold_probabilities_are_said_and_accuse_nobody():
    """The recorder of such a round writes none."""
    made = changed(Round, at=7, no_law="target")
    assert ("counts", "rounds of which no law can be made hold probabilities") in found(made)
    with pytest.raises(MissingEvidence, match="contradicts itself"):
        judged("logits-not-finite", made)


@pytest.mark.parametrize(
    "parts",
    [
        {"shifted": [ShiftedRows(1, 0, 5)]},
        {"shifted": [ShiftedRows(-1, 5, 5), ShiftedRows(1, 3, 9)]},
        {"processed": [ProcessedRows("target", 5, 0, 0, 0, 0, misread=6)]},
        {"processed": [ProcessedRows("draft", 5, 6, 0, 0, 0)]},
    ],
)
def test_a_recheck_that_counts_more_rows_than_it_compared_is_said(parts):
    """Of a neighbour's rows, and of processed ones."""
    text = "a recheck counts more rows of a kind than it compared"
    assert found(changed(Recheck, **parts)) == [("counts", text)]


TIMES = [
    (changed(Round, at=5, wall_ns=3 * SECOND), "rounds of one burst overlap in time"),
    (changed(Round, at=5, start_ns=10**4 * SECOND), "overlap in time"),
    (changed(Burst, wall_ns=0), "the rounds of burst 0 last longer than the burst"),
]


@pytest.mark.parametrize(("made", "told"), TIMES)
def test_times_that_cannot_be_are_said_and_withhold_speed_alone(made, told):
    """No speed rests on them, while what was accepted still counts."""
    assert any(of == "times" and told in words for of, words in found(made))
    columns = Columns()
    columns.feed(made)
    evidence = Evidence(columns)
    assert len(evidence.rounds) > 100
    for question in (cost_model.costs, cost_model.speedup, cost_model.waterfall):
        with pytest.raises(MissingEvidence, match="contradicts itself"):
            evidence.ask(question)


def test_spans_outlast_their_round():
    """A phase can't take a hundred times as long as what it is a part of."""
    one = next(each for each in events(**LONG) if isinstance(each, Round))
    spans = [msgspec.structs.replace(span, ns=span.ns + SECOND) for span in one.spans]
    told = found(changed(Round, spans=spans))
    assert told == [("times", "the spans of some rounds last longer than the rounds")]


def test_the_end_is_before_the_last_round():
    """Of a real clock; a synthetic run's rounds have made-up times beside a real end."""
    made = events(**LONG)
    header, end = made[0], made[-1]
    settings = replace(header.spec.settings, backend="native")
    native = replace(header, spec=replace(header.spec, settings=settings))
    early = replace(end, wall_ns=end.wall_ns // 100)
    assert "rounds end later than that" in found([native, *made[1:-1], early])[0][1]
    assert not found([header, *made[1:-1], early])
    assert not found([native, *made[1:]])
