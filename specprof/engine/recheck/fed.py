"""Asks which token was fed, where a round's first row is the first wrong one of its burst.

The row answers the last committed token. Most loops that feed another token there feed one of a
few: so these are fed in its place, and the row is compared again.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from specprof.engine.observe.evidence import short
from specprof.recheck_records import OtherInput
from specprof.records import Round

MIN_GAP = 1e-2
"""Rows nearer to the recomputed one are right, or off by rounding."""
MAX_LEFT = 0.1
"""The share of the gap that may be left by the token that explains it."""
Fed = Literal["last but one", "nothing", "last twice", "rejected draft"]


def explain_by_input(
    model: Literal["target", "draft"],
    rounds: Sequence[Round],
    committed: Sequence[int],
    gaps: Sequence[tuple[int, int, float | None]],
    compare: Callable[[int, Sequence[int]], float | None],
) -> OtherInput | None:
    """Return the token whose feeding explains the burst's first wrong row; None where none does.

    gaps: the round, the row and the gap of each row of the model that was recomputed. compare:
    returns the gap of a round's first row from the model's answer to a text.
    """
    wrong = [each for each in gaps if each[2] is not None and each[2] >= MIN_GAP]
    number, row, gap = min(wrong, default=(-1, -1, None), key=lambda each: each[:2])
    if row or gap is None:
        return None
    at = next(place for place, one in enumerate(rounds) if one.index == number)
    before = rounds[at - 1] if at else None
    found = list[tuple[float, Fed]]()
    for fed, text in _texts(committed[: rounds[at].context], before).items():
        left = compare(number, text) if text else None
        if left is not None and left <= MAX_LEFT * gap:
            found.append((left, fed))
    if not found:
        return None
    left, fed = min(found)
    return OtherInput(model, number, fed, short(gap), short(left))


def _texts(text: Sequence[int], before: Round | None) -> dict[Fed, list[int]]:
    """Return what the model may have been fed in place of `text`, by what was fed last."""
    *others, last = text
    found: dict[Fed, list[int]] = {"nothing": others, "last twice": [*text, last]}
    if others:
        found["last but one"] = [*others, others[-1]]
    refused = [] if before is None else [each for each in before.drafted if each.reached]
    if refused and not refused[-1].accepted:
        found["rejected draft"] = [*others, refused[-1].token]
    return found
