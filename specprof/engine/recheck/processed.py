"""Tells rows that a loop processed on purpose from rows of a wrong state.

A wrong cache, position or mask moves all of a row's logits, each by another amount. A processor
leaves most of them alone, or keeps their order: a grammar or a filter rules ids out, a penalty
changes those of the text, a bias a few more, a temperature or a cap moves all by one curve. A
watermark raises a large share of the ids, all by the same amount.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch

MIN_LOGIT = -1e4
"""No model gives a lower one: it stands for an id that may not come."""
MAX_BIASED_IDS = 16
"""Ids beside those of the text that a processor may move one by one."""
MIN_COMPARED_IDS = 8
"""Fewer ids that agree prove little, unless no others are left."""
MAX_NARROW_IDS = 16
"""Fewer ids that a filter leaves may nearly all be of the text, so that a penalty moves them."""
MIN_LEFT_ALONE = 10
"""One id in so many has to be left alone, where single ids are moved."""
MIN_SPREAD_SHARE = 0.25
"""A curve that leaves less of the logits' spread says little of the row it was made from."""
MAX_STRICT_ROUNDING = 1e-2
"""Nats of rounding below which the order of all logits alone proves a curve."""
MAX_LEVELS = 4
"""Amounts by which a processor moves whole groups of ids, 0 included."""
CURVE_TERMS = 6
"""Of the polynomial that a curve is taken for."""
MAX_CLEAN_GAP = {
    torch.float64: 5e-4,
    torch.float32: 5e-4,
    torch.float16: 2e-2,
    torch.bfloat16: 1e-1,
}
"""Largest total variation between two computations of one law; `analysis.attribution` has the same.

The types are in order of their rounding.
"""
MAX_ROUNDING_UNITS, MAX_HALF_ROUNDING_UNITS = 64, 4
"""Units of the data type's rounding, of the largest logit, by which two computations of a logit
differ at most: in 32 bits and more, and in 16."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What was done to a row, and how far the rest of it is from the clean row."""

    ruled_out: int
    """Ids that may not come."""
    moved: int
    """Ids that were moved one by one."""
    curved: bool
    """Whether the others were moved by one rising curve, and not by one constant."""
    gap: float | None
    """Total variation of both rows' laws over the ids that were left alone; None: too few."""


def find_processing(
    used: torch.Tensor, clean: torch.Tensor, text: Collection[int], rounding: float
) -> Processing | None:
    """Return what turned the clean row into the used one; None if no processor explains it.

    used, clean: [vocab] logits. text: ids before the row, which a penalty may move. rounding: the
    largest difference between two computations of one logit.
    """
    free = used > MIN_LOGIT
    count, ruled_out = int(free.sum()), int((~free & (clean > MIN_LOGIT)).sum())
    if count < 2:  # noqa: PLR2004 - one id alone agrees with everything
        return Processing(ruled_out, 0, curved=False, gap=None)
    unspoken = free.clone()
    unspoken[[each for each in set(text) if 0 <= each < len(free)]] = False
    others, narrow = int(unspoken.sum()), ruled_out > 0 and count < MAX_NARROW_IDS
    compared = unspoken if others >= (1 if narrow else MIN_COMPARED_IDS) else free
    apart = used - clean
    moved = free & ((apart - apart[compared].median()).abs() > rounding)
    few = int((moved & unspoken).sum()) <= MAX_BIASED_IDS
    needed = min(count, max(MIN_COMPARED_IDS, count // MIN_LEFT_ALONE))
    if few and int((free & ~moved).sum()) >= needed:
        gap = variation(used, clean, free & ~moved)
        return Processing(ruled_out, int(moved.sum()), curved=False, gap=gap)
    if narrow and not bool((moved & unspoken).any()):  # of few ids a penalty may move most
        left = variation(used, clean, unspoken) if others > 1 else None
        return Processing(ruled_out, int(moved.sum()), curved=False, gap=left)
    levels = _find_levels(apart[compared], rounding)
    if levels is not None:
        usual = levels == levels.median()
        even = used[compared] - levels
        gap = variation(even, clean[compared], torch.ones_like(usual))
        return Processing(ruled_out, int((~usual).sum()), curved=False, gap=gap)
    if _is_one_curve(used[compared], clean[compared], rounding):
        strict = rounding < MAX_STRICT_ROUNDING
        gap = 0.0 if strict else _curve_gap(used[compared], clean[compared])
        return Processing(ruled_out, 0, curved=True, gap=gap)
    return None


def coarser(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    """Return the data type that rounds more; types that no model computes in count as bfloat16."""
    order = list(MAX_CLEAN_GAP)
    known = [each if each in order else order[-1] for each in (one, other)]
    return max(known, key=order.index)


def max_rounding(dtype: torch.dtype, clean: torch.Tensor) -> float:
    """Return the largest difference between two computations of one of the logits [vocab]."""
    wide = dtype in {torch.float32, torch.float64}
    units = MAX_ROUNDING_UNITS if wide else MAX_HALF_ROUNDING_UNITS
    largest = clean.masked_fill(clean <= MIN_LOGIT, 0.0).abs().max()  # some ids may be ruled out
    return units * torch.finfo(dtype).eps * float(largest)


def variation(used: torch.Tensor, clean: torch.Tensor, where: torch.Tensor) -> float:
    """Return the total variation of two rows' laws over some ids, [vocab] each."""
    return float((used[where].softmax(-1) - clean[where].softmax(-1)).abs().sum()) / 2


def _curve_gap(used: torch.Tensor, clean: torch.Tensor) -> float:
    """Return the gap of the used row from the clean row moved by the smooth curve that fits best.

    Both are [n]. Within the rounding of 16 bits a row of a wrong state may keep the order of the
    clean one. A curve of few terms can't follow its errors.
    """
    scaled = (clean - clean.mean()) / clean.std()
    terms = torch.stack([scaled**power for power in range(CURVE_TERMS)], 1).double()
    fit = terms @ torch.linalg.lstsq(terms, used.double()[:, None]).solution
    return variation(used, fit[:, 0].float(), torch.ones_like(used, dtype=torch.bool))


def _find_levels(apart: torch.Tensor, rounding: float) -> torch.Tensor | None:
    """Return the amount by which each id was moved, [n]; None if these are not few and far apart.

    apart: [n] differences of logits. A wrong state moves each id by an amount of its own.
    """
    values, order = apart.sort()
    number = torch.zeros_like(order)
    number[1:] = (values.diff() > 2 * rounding).cumsum(0)
    levels = torch.empty_like(apart)
    groups = [values[number == each] for each in range(min(int(number.max()), MAX_LEVELS) + 1)]
    if len(groups) > MAX_LEVELS or any(
        len(each) < MIN_COMPARED_IDS or each[-1] - each[0] > 2 * rounding for each in groups
    ):
        return None
    levels[order] = torch.cat([each.median().expand(len(each)) for each in groups])
    return levels


def _is_one_curve(used: torch.Tensor, clean: torch.Tensor, rounding: float) -> bool:
    """Return whether one is a rising curve of the other, [n] each, apart from rounding."""
    if len(used) < MIN_COMPARED_IDS or used.std() < MIN_SPREAD_SHARE * clean.std():
        return False
    return _rises(used[clean.argsort()], rounding) and _rises(clean[used.argsort()], rounding)


def _rises(values: torch.Tensor, rounding: float) -> bool:
    return float((values.cummax(0).values - values).max()) <= 2 * rounding
