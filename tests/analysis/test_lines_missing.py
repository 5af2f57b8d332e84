"""Lines that the backend writes of every burst are missed, whatever else was taken out."""

import msgspec
import pytest

from captures import events
from specprof.analysis.columns import Columns
from specprof.analysis.lines_missing import lines_missing
from specprof.records import Burst, Plain, Prefill, Recheck

replace = msgspec.structs.replace
WAYS = [
    {},
    {"batch": 3},
    {"detail": "off"},
    {"detail": "rounds"},
    {"drafter": "none", "draft": None},
    {"plain_steps": 0},
    {"recheck_context": 3000},
    {"workload": "ppl", "context": 900, "cache": "sink-window", "window": 256},
]
KINDS = {Prefill: "prefill", Burst: "end", Plain: "plain decoding", Recheck: "recheck"}


def missed(made, damaged=0):
    """Return which lines are missing."""
    columns = Columns()
    for line in range(damaged):
        columns.damaged.add(line, lambda: "torn")
    columns.feed(made)
    return lines_missing(columns)


def without(made, kind):
    return [each for each in made if not isinstance(each, kind)]


def by(backend, made):
    header = made[0]
    settings = replace(header.spec.settings, backend=backend)
    return [replace(header, spec=replace(header.spec, settings=settings)), *made[1:]]


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_capture_misses_nothing_at_any_stage(way):
    """Nor one that is still being written, or was ended early."""
    made = events(**way)
    assert not missed(made)
    assert not missed([*made[:-1], replace(made[-1], status="interrupted")])
    assert not any(missed(made[:end]) for end in range(1, len(made)))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_lines_that_only_some_bursts_have_are_missed(kind, batch):
    """Plain steps are written once a stop, a recheck where the text is not too deep."""
    made = events(batch=batch)
    of_kind = [each for each in made if isinstance(each, kind)]
    kept = [each for each in made if each not in of_kind[1:]]
    gone = len(of_kind) - 1
    assert missed(kept) == [f"the {KINDS[kind]} of {gone} burst{'s' if gone > 1 else ''}"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_no_burst_has_is_not_missed(kind):
    """An earlier version, or a setting of a later one, may have written none."""
    assert not missed(without(events(), kind))


@pytest.mark.parametrize("kind", KINDS)
def test_one_line_is_missed_and_a_damaged_one_is_not_missed_again(kind):
    """What can't be read may be that line."""
    made = events()
    made.remove(next(each for each in made if isinstance(each, kind)))
    assert missed(made) == [f"the {KINDS[kind]} of 1 burst"]
    assert not missed(made, damaged=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_of_ones_own_writes_what_it_likes(kind):
    """No header says what that is."""
    assert not missed(by("recorded", without(events(), kind)))


def test_nothing_is_missed_before_a_header():
    """Nor of a run that ended before its first round."""
    made = events()
    assert not missed([])
    assert not missed([made[0], replace(made[-1], rounds=0, emitted=0)])
