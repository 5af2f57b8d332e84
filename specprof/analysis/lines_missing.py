"""Which lines are not in a capture although they were written of its other bursts.

Of specprof's own backends it is known what they write of every burst. An earlier version may have
written less, so a kind of line is missed only where the capture has some of that kind. What a loop
of one's own writes beside its rounds is its own affair, and nothing is missed of it. Knows columns.
"""

from collections.abc import Iterable, Sized

import numpy as np

from specprof.analysis.columns import Columns
from specprof.plain import format_count
from specprof.settings import EVIDENCE_DETAILS, Settings

WALKING = frozenset({"native", "synthetic", "hf-assisted", "hf-generate", "hf-prompt-lookup"})
"""Backends that prefill, decode, and time plain steps at every stop of a walk."""
RECHECKING = frozenset({"native", "synthetic"})
"""Those that recompute what they decoded."""


def lines_missing(columns: Columns) -> list[str]:
    """Return in words which kinds of lines are missing, and of how many bursts.

    Those that a line which can't be read may have been are not counted as missing.
    """
    settings = columns.header.spec.settings if columns.header is not None else None
    if settings is None or settings.backend not in WALKING:
        return []
    known, over = _bursts(columns, settings)
    ended = {one.burst for one in columns.bursts}
    due: dict[str, tuple[Sized, set[int]]] = {
        "the prefill": (columns.prefills, known - {one.burst for one in columns.prefills}),
        "the end": (columns.bursts, over - ended),
        "the plain decoding": (columns.plains, _plain(columns, settings, over)),
        "the recheck": (columns.rescored, _rechecks(columns, settings, over)),
    }
    return [
        f"{name} of {format_count(len(bursts), 'burst')}"
        for name, (there, bursts) in due.items()
        if len(there) and len(bursts) > len(columns.damaged)
    ]


def _bursts(columns: Columns, settings: Settings) -> tuple[set[int], set[int]]:
    """Return the bursts that were begun, and those of them that are over for certain.

    One is over where the run came to another stop, or ended by itself.
    """
    played = set(np.unique(columns.rounds.burst).tolist())
    known = played | {one.burst for one in columns.bursts}
    if columns.end is not None and columns.end.status == "complete":
        return known, known
    begun = known | {one.burst for one in columns.prefills}
    last = max(begun, default=0) // settings.batch
    return known, {burst for burst in known if burst // settings.batch < last}


def _plain(columns: Columns, settings: Settings, over: Iterable[int]) -> set[int]:
    """Return the bursts whose plain steps are missing: of a batch's the first tells them."""
    if not settings.plain_steps or settings.drafter == "none" or not settings.depth:
        return set()
    first = {burst for burst in over if burst % settings.batch == 0}
    return first - {one.burst for one in columns.plains}


def _rechecks(columns: Columns, settings: Settings, over: Iterable[int]) -> set[int]:
    """Return the bursts of recorded rounds that none of whose tokens were scored anew."""
    if settings.backend not in RECHECKING or settings.detail not in EVIDENCE_DETAILS:
        return set()
    rounds = columns.rounds
    bursts, first = np.unique(rounds.burst, return_index=True)
    short = bursts[rounds.context[first] <= settings.recheck_context]
    again = np.isin(rounds.index, columns.rescored.round)
    return (set(short.tolist()) & set(over)) - set(np.unique(rounds.burst[again]).tolist())
