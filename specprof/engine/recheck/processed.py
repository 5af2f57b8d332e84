"""Tells rows that a loop processed on purpose from rows of a wrong state.

A wrong cache, position or mask moves all of a row's logits, each by another amount. A processor
leaves most of them alone, or keeps their order: a grammar or a filter rules ids out, a penalty
changes those of the text, a bias a few more, a temperature or a cap moves all by one curve.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from specprof.engine.observe.evidence import short
from specprof.recheck_records import ProcessedRows

MIN_LOGIT = -1e4
"""No model gives a lower one: it stands for an id that may not come."""
MAX_BIASED_IDS = 16
"""Ids beside those of the text that a processor may move one by one."""
MIN_COMPARED_IDS = 8
"""Fewer ids that agree prove little, unless no others are left."""
MIN_LEFT_ALONE = 10
"""One id in so many has to be left alone, where single ids are moved."""
MIN_SPREAD_SHARE = 0.25
"""A curve that leaves less of the logits' spread says little of the row it was made from."""
MAX_CLEAN_GAP = {torch.float32: 5e-4, torch.float64: 5e-4}
"""Total variation within which two rows are one, by data type; the others' is the last."""
MAX_COARSE_GAP = 0.1
ROUNDING = 64
"""Two computations of one logit differ by at most so many units of the data type's rounding."""


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
    compared = unspoken if int(unspoken.sum()) >= MIN_COMPARED_IDS else free
    apart = used - clean
    moved = free & ((apart - apart[compared].median()).abs() > rounding)
    few = int((moved & unspoken).sum()) <= MAX_BIASED_IDS
    needed = min(count, max(MIN_COMPARED_IDS, count // MIN_LEFT_ALONE))
    if few and int((free & ~moved).sum()) >= needed:
        gap = _gap(used, clean, free & ~moved)
        return Processing(ruled_out, int(moved.sum()), curved=False, gap=gap)
    if _is_one_curve(used[compared], clean[compared], rounding):
        return Processing(ruled_out, 0, curved=True, gap=0.0)
    return None


def rounding_of(dtype: torch.dtype, clean: torch.Tensor) -> float:
    """Return the largest difference between two computations of one of the logits [vocab]."""
    units = ROUNDING if dtype in {torch.float32, torch.float64} else 4
    return units * torch.finfo(dtype).eps * float(clean.abs().max())


def _gap(used: torch.Tensor, clean: torch.Tensor, where: torch.Tensor) -> float:
    return float((used[where].softmax(-1) - clean[where].softmax(-1)).abs().sum()) / 2


def _is_one_curve(used: torch.Tensor, clean: torch.Tensor, rounding: float) -> bool:
    """Return whether one is a rising curve of the other, [n] each, apart from rounding."""
    if len(used) < MIN_COMPARED_IDS or used.std() < MIN_SPREAD_SHARE * clean.std():
        return False
    return _rises(used[clean.argsort()], rounding) and _rises(clean[used.argsort()], rounding)


def _rises(values: torch.Tensor, rounding: float) -> bool:
    return float((values.cummax(0).values - values).max()) <= 2 * rounding


@dataclass(slots=True)
class Compared:
    """The rows that a loop decided by, beside recomputed ones."""

    rows: torch.Tensor
    """[n, vocab]: the rows that laws are made of: recomputed, or as used if those are processed."""
    gaps: list[float | None]
    """Total variation of each used row from its recomputed one, of ids that were left alone."""
    summary: ProcessedRows | None
    """What the processors did; None if no row is processed."""


def compare_rows(
    model: Literal["target", "draft"],
    used: Sequence[torch.Tensor | None],
    clean: torch.Tensor,
    texts: Sequence[Sequence[int]],
    *,
    as_laws: bool,
) -> Compared:
    """Compare rows with recomputed ones, [n, vocab]; texts: the ids before each row.

    `as_laws`: the used rows are logarithms of the loop's laws, whatever they were made from. Rows
    that no processor explains are then taken as they are, and have no gap.
    """
    rows, gaps, found = clean.clone(), list[float | None](), list[Processing]()
    for number, (row, text) in enumerate(zip(used, texts, strict=True)):
        if row is None or row.shape != clean[number].shape:
            gaps.append(None)
            continue
        own = row.float().cpu()
        whole = _gap(own, clean[number], torch.ones_like(own, dtype=torch.bool))
        if not as_laws and whole <= MAX_CLEAN_GAP.get(row.dtype, MAX_COARSE_GAP):
            gaps.append(short(whole))
            continue
        rounding = rounding_of(row.dtype, clean[number])
        processing = find_processing(own, clean[number], text, rounding)
        if processing is not None or as_laws:
            rows[number] = own
        gap = None if as_laws else whole
        if processing is not None:
            found.append(processing)
            gap = processing.gap
        gaps.append(None if gap is None else short(gap))
    return Compared(rows, gaps, _summarise(model, sum(each is not None for each in used), found))


def _summarise(
    model: Literal["target", "draft"], compared: int, found: Sequence[Processing]
) -> ProcessedRows | None:
    if not found:
        return None
    return ProcessedRows(
        model,
        compared,
        len(found),
        max(each.ruled_out for each in found),
        max(each.moved for each in found),
        sum(each.curved for each in found),
    )
