"""Which of a round's drafted tokens were judged, and in what order. Knows no tensors, no laws."""

from specprof.engine.loop import PlayedRound


def reached_nodes(played: PlayedRound) -> list[int]:
    """Return the drafted tokens that were judged, by index.

    Of each, all ancestors were accepted and no elder sibling was.
    """
    if is_straight(played):
        return list(range(min(len(played.path) + 1, len(played.drafted))))
    ends, passed, found = {-1, *played.path}, set[int](), []
    for node, parent in enumerate(played.parents):
        if parent in ends and parent not in passed:
            found.append(node)
        if node in ends:
            passed.add(parent)
    return found


def is_straight(played: PlayedRound) -> bool:
    """Return whether a chain was drafted and none was accepted after one that was not."""
    if played.proposal.parents is not None:
        return False
    return played.path == list(range(len(played.path)))


def reached_families(played: PlayedRound) -> list[list[int]]:
    """Return the reached tokens in families, one for each token they follow; the largest first.

    The eldest sibling of a family comes first.
    """
    found: dict[int, list[int]] = {}
    for node in reached_nodes(played):
        found.setdefault(played.parents[node], []).append(node)
    return sorted(found.values(), key=len, reverse=True)


def eldest_turned_down(played: PlayedRound) -> int | None:
    """Return the eldest drafted token in whose place the correction came; None for a bonus."""
    tip = played.path[-1] if played.path else -1
    return next((node for node, parent in enumerate(played.parents) if parent == tip), None)
