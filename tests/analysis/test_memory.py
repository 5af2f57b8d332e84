"""Cache bytes are set against what their tokens take."""

import captures
from specprof.analysis import memory
from specprof.analysis.columns import Columns


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


def test_both_caches_hold_what_their_tokens_take():
    """In a healthy run, held bytes equal length times bytes a token."""
    columns = fed(captures.events())
    target, draft = memory.caches(columns)
    assert (target.role, draft.role) == ("target", "draft")
    assert target.length == columns.rounds.target_length[-1]
    for cache in (target, draft):
        assert cache.held_bytes == cache.formula_bytes > 0


def test_a_cache_that_was_not_recorded_is_left_out():
    """A baseline has no draft cache; an empty capture has none at all."""
    assert [one.role for one in memory.caches(fed(captures.events(drafter="none")))] == ["target"]
    assert memory.caches(Columns()) == []
    assert memory.caches(fed(captures.events()[:1])) == []


def test_a_cache_that_drops_tokens_holds_the_rest():
    """The formula leaves out what was dropped; scored text has a cache as well."""
    columns = fed(captures.events(cache="sink-window", window=200))
    target, draft = memory.caches(columns)
    assert target.evicted == target.length - 204 > 0
    assert draft.held_bytes == draft.formula_bytes == 204 * draft.bytes_per_token
    scored = fed(captures.events(workload="ppl", context=900, cache="sink-window", window=200))
    (target,) = [one for one in memory.caches(scored) if one.role == "target"]
    assert (target.length, target.evicted) == (899, 695)
    assert target.held_bytes == target.formula_bytes
