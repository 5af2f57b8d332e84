"""Columns hold what the events hold, however they were fed."""

import math
import time

import numpy as np
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.backends.synthetic import Synthetic
from specprof.records import Drafted, Observed, Round, Sample, Span
from specprof.settings import RunSpec, Settings


def recorded(**settings):
    spec = RunSpec(id="t", profile="t", settings=Settings(backend="synthetic", **settings))
    return list(Synthetic().run(spec, []))


@pytest.fixture(scope="module")
def events():
    return recorded(temperature=1.0, context=4000, stops=4, max_new_tokens=64)


def fed(events, step):
    columns = Columns()
    for start in range(0, len(events), step):
        columns.feed(events[start : start + step])
    return columns


@pytest.mark.parametrize("step", [1, 7])
def test_feeding_in_pieces_equals_feeding_at_once(events, step):
    """A live capture and the same capture read whole give the same columns."""
    pieces, whole = fed(events, step), fed(events, len(events))
    for name in ("rounds", "places", "emitted", "rechecked", "samples"):
        one, other = getattr(pieces, name), getattr(whole, name)
        for column in type(one).__annotations__:
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert pieces.spans.keys() == whole.spans.keys()
    for name, ns in pieces.spans.items():
        np.testing.assert_array_equal(ns, whole.spans[name])


def test_columns_say_what_the_records_say(events):
    """Each round's row and its reached places equal the record they came from."""
    columns, rounds = fed(events, 50), [e for e in events if isinstance(e, Round)]
    assert len(columns.rounds) == len(rounds)
    assert columns.rounds.accepted.tolist() == [one.accepted for one in rounds]
    assert columns.rounds.reached.tolist() == [sum(d.reached for d in r.drafted) for r in rounds]
    assert columns.emitted.token.tolist() == [t for one in rounds for t in one.emitted]
    reached = [(r, i, d) for r in rounds for i, d in enumerate(r.drafted) if d.reached]
    assert columns.places.context.tolist() == [r.context + i for r, i, _ in reached]
    assert columns.places.overlap.tolist() == [d.seen.overlap for _, _, d in reached]


def tree(index=0, context=100):
    """Return a round whose second child of the root, and that one's first child, stood.

    Its list is not in the order of its levels: 0 and 1 hang on the context, 2 on 0, 3 to 5 on 1.
    """
    parents = [-1, -1, 0, 1, 1, 3]
    reached, accepted = {0, 1, 3, 5}, {1, 3}
    return Round(
        index=index,
        context=context,
        depth_asked=3,
        drafted=[
            Drafted(
                token=10 + node,
                parent=parent,
                reached=node in reached,
                accepted=node in accepted,
                seen=Observed(0.5, 0.5, 0.1 * (node + 1), 0.2) if node in reached else None,
            )
            for node, parent in enumerate([*parents])
        ],
        accepted=2,
        emitted=[11, 13, 7],
        start_ns=0,
        wall_ns=9,
    )


def test_a_trees_index_is_its_level():
    """Places stand level by level, siblings in turn; a level is settled by its last one reached."""
    columns = Columns()
    columns.feed([tree()])
    rounds, places = columns.rounds, columns.places
    assert columns.trees
    counts = (rounds.drafted, rounds.levels, rounds.reached, rounds.reached_levels, rounds.accepted)
    assert [int(each[0]) for each in counts] == [6, 3, 4, 3, 2]
    assert places.node.tolist() == [0, 1, 3, 5]
    assert places.index.tolist() == [0, 0, 1, 2]
    assert places.elder.tolist() == [0, 1, 0, 0]
    assert places.context.tolist() == [100, 100, 101, 102]
    levels = places.levels()
    assert levels.index.tolist() == [0, 1, 2]
    assert levels.accepted.tolist() == [True, True, False]
    np.testing.assert_allclose(levels.overlap, [0.1 + 0.2, 0.4, 0.6])
    assert [columns.drafted_at(level) for level in range(4)] == [1, 1, 1, 0]


def test_a_chains_levels_are_its_places(events):
    """Nothing is summed where nobody has a sibling."""
    columns = fed(events, 50)
    assert not columns.trees
    assert columns.places.levels() is columns.places
    np.testing.assert_array_equal(columns.rounds.levels, columns.rounds.drafted)
    np.testing.assert_array_equal(columns.rounds.reached_levels, columns.rounds.reached)
    np.testing.assert_array_equal(columns.places.node, columns.places.index)


def test_a_batch_steps_time_is_divided_among_its_rounds():
    """Each has its share of wall and spans; when it ended is everybody's."""
    columns = Columns()
    columns.feed(
        [
            Round(
                index=number,
                burst=number,
                sequence=number,
                shared=3,
                context=1,
                depth_asked=0,
                accepted=0,
                emitted=[1],
                start_ns=50,
                wall_ns=90,
                spans=[Span("verify", None, 0, 60)],
            )
            for number in range(3)
        ]
    )
    assert columns.rounds.wall_ns.tolist() == [30] * 3
    assert columns.rounds.end_ns.tolist() == [140] * 3
    assert columns.spans["verify"].tolist() == [20] * 3
    assert columns.gap_ns.tolist() == [10] * 3


def test_a_batchs_rounds_are_put_together_by_burst():
    """Neighbours in a bootstrap are of one text, though sequences take turns in the file."""
    columns = Columns()
    columns.feed(captures.events(batch=3, stops=2, shape="static-tree"))
    assert (np.diff(columns.rounds.burst) < 0).any()
    together = columns.rounds_by_burst()
    assert (np.diff(together.burst) >= 0).all()
    for burst in range(6):
        assert (np.diff(together.index[together.burst == burst]) > 0).all()
    levels = columns.levels_by_burst()
    bursts = columns.rounds.burst[np.searchsorted(columns.rounds.index, levels.round)]
    assert (np.diff(bursts) >= 0).all()
    assert levels.accepted.sum() == columns.rounds.accepted.sum()


def test_the_first_rounds_of_a_batch_hold_what_was_rechecked_of_them_alone():
    """Its bursts are rechecked one after the other, though their rounds take turns."""
    columns = Columns()
    columns.feed(captures.events(batch=3, stops=2))
    half = len(columns.rounds) // 2
    cut = columns.first(half)
    for name in ("rechecked", "rescored"):
        whole, part = getattr(columns, name).round, getattr(cut, name).round
        below = columns.rounds.index[half]
        assert (np.diff(whole) < 0).any()
        np.testing.assert_array_equal(part, whole[whole < below])


def test_spans_and_gap_sum_to_the_wall(events):
    """Nested steps are not counted twice, and the gap is what no top-level span covers."""
    columns = fed(events, 50)
    total = sum(columns.spans.values()) + columns.gap_ns
    np.testing.assert_array_equal(total, columns.rounds.wall_ns)
    assert set(columns.spans) == {"draft", "verify", "accept", "rollback"}


def test_a_span_that_first_appears_late_is_zero_before():
    """A phase some rounds lack took no time in them."""
    plain = {"context": 1, "depth_asked": 0, "accepted": 0, "emitted": [1], "wall_ns": 9}
    columns = Columns()
    for index in range(600):
        spans = [Span("rollback", None, 0, 5)] if index == 599 else []
        columns.feed([Round(index=index, start_ns=index, spans=spans, **plain)])
    assert columns.spans["rollback"].tolist() == [0] * 599 + [5]


def test_what_was_not_recorded_is_nan():
    """Missing is never zero."""
    columns = Columns()
    columns.feed([Sample(at_ns=5, rss_bytes=7)])
    columns.feed(
        [Round(index=0, context=1, depth_asked=0, accepted=0, emitted=[1], start_ns=0, wall_ns=1)]
    )
    assert columns.samples.rss_bytes.tolist() == [7]
    assert math.isnan(columns.samples.power_watts[0])
    assert math.isnan(columns.rounds.draft_length[0])


def test_a_view_keeps_its_length_while_the_capture_grows(events):
    """A widget that took a view may go on drawing it."""
    columns = Columns()
    columns.feed(events[:20])
    view = columns.rounds.accepted
    before = view.tolist()
    columns.feed(events[20:])
    assert view.tolist() == before


def test_twenty_thousand_rounds_feed_fast():
    """20k rounds in well under the second a reader waits; fifty more in about a millisecond."""
    pattern = [e for e in recorded(temperature=1.0, max_new_tokens=200) if isinstance(e, Round)]
    rounds = (pattern * (20_000 // len(pattern) + 1))[:20_000]
    columns, started = Columns(), time.process_time()
    columns.feed(rounds)
    assert time.process_time() - started < 1.5  # about 0.3 s of processor time
    started = time.process_time()
    for _ in range(20):
        columns.feed(rounds[:50])
    assert (time.process_time() - started) / 20 < 0.01
