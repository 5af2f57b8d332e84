"""Which lines a capture lacks for some bursts although it has them for other bursts.

specprof's own backends write known lines for every burst. An earlier version may have written
less, so a kind of line counts as missing only where the capture has some of that kind. A user's
own loop may write any lines beside its rounds, so none of its lines count as missing. Knows
columns.
"""

from collections.abc import Iterable, Sized

import numpy as np

from specprof.analysis.columns import Columns
from specprof.plain import format_count
from specprof.settings import EVIDENCE_DETAILS, Settings

WALKING_BACKENDS = frozenset(
    {"native", "synthetic", "hf-assisted", "hf-generate", "hf-prompt-lookup"}
)
"""Backends that prefill, decode and time plain steps at every stop of a walk."""
RECHECKING_BACKENDS = frozenset({"native", "synthetic"})
"""Backends that recompute what they decoded."""


def lines_missing(columns: Columns) -> list[str]:
    """Return in words which kinds of lines are missing, and for how many bursts.

    A damaged line may have been any of these. So a kind is reported only where more bursts lack it
    than there are damaged lines.
    """
    settings = columns.header.spec.settings if columns.header is not None else None
    if settings is None or settings.backend not in WALKING_BACKENDS:
        return []
    known, over = _find_bursts(columns, settings)
    ended = {one.burst for one in columns.bursts}
    due: dict[str, tuple[Sized, set[int]]] = {
        "the prefill": (columns.prefills, known - {one.burst for one in columns.prefills}),
        "the end": (columns.bursts, over - ended),
        "the plain decoding": (columns.plains, _without_plain_steps(columns, settings, over)),
        "the recheck": (columns.rescored, _without_recheck(columns, settings, over)),
    }
    return [
        f"{name} of {format_count(len(bursts), 'burst')}"
        for name, (there, bursts) in due.items()
        if len(there) and len(bursts) > len(columns.damaged)
    ]


def _find_bursts(columns: Columns, settings: Settings) -> tuple[set[int], set[int]]:
    """Return the bursts that have begun, and those of them that have certainly ended.

    A burst has ended where the run came to another stop, or where the run was completed.
    """
    played = set(np.unique(columns.rounds.burst).tolist())
    known = played | {one.burst for one in columns.bursts}
    if columns.end is not None and columns.end.status == "complete":
        return known, known
    begun = known | {one.burst for one in columns.prefills}
    last = max(begun, default=0) // settings.batch
    return known, {burst for burst in known if burst // settings.batch < last}


def _without_plain_steps(columns: Columns, settings: Settings, over: Iterable[int]) -> set[int]:
    """Return the bursts whose plain steps are missing; in a batch only the first burst has them."""
    if not settings.plain_steps or settings.drafter == "none" or not settings.depth:
        return set()
    first = {burst for burst in over if burst % settings.batch == 0}
    return first - {one.burst for one in columns.plains}


def _without_recheck(columns: Columns, settings: Settings, over: Iterable[int]) -> set[int]:
    """Return the bursts with recorded rounds of which no token was scored anew."""
    if settings.backend not in RECHECKING_BACKENDS or settings.detail not in EVIDENCE_DETAILS:
        return set()
    rounds = columns.rounds
    bursts, first = np.unique(rounds.burst, return_index=True)
    short = bursts[rounds.context[first] <= settings.recheck_context]
    again = np.isin(rounds.index, columns.rescored.round)
    return (set(short.tolist()) & set(over)) - set(np.unique(rounds.burst[again]).tolist())
