"""From a record to the rows it fills: plain tuples in the order of the tables' columns.

Knows `records` and the order of columns; nothing of arrays. A drafted token's index is its level,
how many drafted tokens it follows from: its place in the list in a chain, and not in a tree.
"""

from collections.abc import Sequence
from operator import itemgetter

from specprof.records import Drafted, Observed, Overlaps, Rechecked, Rescored, Round, Sample, Scored

Row = tuple[float | None, ...]
"""A table's row; None where nothing was recorded."""
_UNSEEN = (None,) * 5


def levels(drafted: Sequence[Drafted]) -> list[int]:
    """Return how many drafted tokens each drafted token follows from; parents come first."""
    parents = [each.parent for each in drafted]
    if parents == (chain := list(range(-1, len(drafted) - 1))):
        return [parent + 1 for parent in chain]
    found = list[int]()
    for place, each in enumerate(drafted):
        found.append(found[each.parent] + 1 if 0 <= each.parent < place else 0)
    return found


def round_row(one: Round, level: Sequence[int]) -> Row:
    """Return a round's row of `Rounds`; `level` is that of each drafted token."""
    reached = [at for at, each in zip(level, one.drafted, strict=True) if each.reached]
    shared = max(one.shared, 1)
    return (
        one.index,
        one.burst,
        one.sequence,
        one.context,
        one.depth_asked,
        len(one.drafted),
        max(level, default=-1) + 1,
        len(reached),
        len(set(reached)),
        one.accepted,
        len(one.emitted),
        one.start_ns,
        one.start_ns + one.wall_ns,
        one.wall_ns // shared,
        shared,
        one.target_forwards,
        one.draft_forwards,
        one.target_length,
        one.draft_length,
        one.target_kv_bytes,
        one.draft_kv_bytes,
        one.target_evicted,
        one.draft_evicted,
        one.final_target_prob,
        one.final_draft_prob,
        one.final_rank,
        one.final_order,
    )


def place_rows(one: Round, level: Sequence[int]) -> list[Row]:
    """Return the rows of `Places` of a round's reached drafted tokens, level by level."""
    family, found = dict[int, int](), list[Row]()
    for node, each in enumerate(one.drafted):
        elder = family.get(each.parent, 0)
        family[each.parent] = elder + 1
        if each.reached:
            at = one.context + level[node]
            place = (one.index, node, level[node], elder, at, each.token, each.accepted)
            found.append(place + _seen(each.seen))
    if len(family) < len(one.drafted):  # a tree: its list may go another way than by levels
        found.sort(key=_level_of)
    return found


def span_rows(one: Round) -> list[tuple[str, int]]:
    """Return the names of a round's top-level spans and its share of each, in nanoseconds."""
    shared = max(one.shared, 1)
    return [(span.name, span.ns // shared) for span in one.spans if span.parent is None]


def rechecked_row(place: Rechecked) -> Row:
    """Return a place's row of `RecheckedPlaces`."""
    return (
        place.round,
        place.index,
        place.target_prob,
        place.draft_prob,
        place.overlap,
        place.margin,
        place.target_gap,
        place.draft_gap,
    )


def rescored_row(token: Rescored) -> Row:
    """Return a committed token's row of `RescoredTokens`."""
    return (
        token.round,
        token.slot,
        token.target_prob,
        token.entropy,
        token.spread,
        token.shortfall,
        token.target_gap,
        token.draft_nll,
    )


def overlap_rows(one: Overlaps) -> list[Row]:
    """Return the rows of `OverlapPlaces` of a stretch of known text."""
    columns = zip(one.overlap, one.agree, one.target_nll, one.draft_nll, strict=True)
    return [(one.context + i, *row) for i, row in enumerate(columns)]


def pass_row(one: Scored) -> Row:
    """Return a forward pass' row of `Passes`."""
    return (
        one.context + len(one.nll),
        len(one.nll),
        one.start_ns,
        one.wall_ns,
        one.target_length,
        one.target_kv_bytes,
        one.target_evicted,
    )


def sample_row(one: Sample) -> Row:
    """Return a reading's row of `Samples`."""
    return (
        one.at_ns,
        one.rss_bytes,
        one.memory_used_bytes,
        one.allocated_bytes,
        one.reserved_bytes,
        one.utilisation_percent,
        one.power_watts,
        one.sm_clock_mhz,
    )


_level_of = itemgetter(2)  # the sort is stable: siblings stay in order


def _seen(seen: Observed | None) -> Row:
    if seen is None:
        return _UNSEEN
    return (
        seen.target_prob,
        seen.draft_prob,
        seen.overlap,
        seen.accept_owed,
        seen.draft_rank,
    )
