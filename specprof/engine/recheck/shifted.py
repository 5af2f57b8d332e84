"""Rows of a verify pass that are the target's rows of the place before or after their own.

A wrong state leaves rows that the target would give nowhere in the text. Rows that were sliced one
too early or too late are the target's own, at another place.
"""

from collections.abc import Sequence

import torch

from specprof.recheck_records import ShiftedRows

MIN_GAP = 0.1
"""Total variation from which on a row is not its own place's: more than rounding in 16 bits."""
MAX_GAP = 1e-2
"""Total variation up to which it is another place's."""
OFFSETS = (-1, 1)


def find_shifted(
    used: Sequence[torch.Tensor | None],
    places: Sequence[int],
    clean: torch.Tensor,
    gaps: Sequence[float | None],
    *,
    known: Sequence[bool],
) -> list[ShiftedRows]:
    """Compare rows that differ from their own place's with the rows of its neighbours.

    used: [n] rows [vocab]; None: not kept. places: [n] rows of `clean` [rows, vocab] that they
    should equal. gaps: [n] their distance from these. known: [n] whether the row after the place
    follows the same tokens in the text as in the verify pass. Returns one record for each offset at
    which any row agrees.
    """
    astray = [number for number, gap in enumerate(gaps) if gap is not None and gap > MIN_GAP]
    found = []
    for offset in OFFSETS:
        some = [
            (row, place + offset)
            for row, place, follows in ((used[at], places[at], known[at]) for at in astray)
            if row is not None and 0 <= place + offset < len(clean) and (offset < 0 or follows)
        ]
        equal = sum(_distance(row, clean[place]) <= MAX_GAP for row, place in some)
        if equal:
            found.append(ShiftedRows(offset=offset, compared=len(some), equal=equal))
    return found


def _distance(row: torch.Tensor, other: torch.Tensor) -> float:
    """Return the total variation between the laws of two rows [vocab] of logits."""
    shared = min(row.shape[-1], other.shape[-1])
    laws = row[:shared].float().cpu().softmax(-1), other[:shared].softmax(-1)
    return float((laws[0] - laws[1]).abs().sum() / 2)
