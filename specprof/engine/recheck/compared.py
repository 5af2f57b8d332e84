"""Compares the rows that a loop decided by with recomputed ones, and says what processed them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

import torch

from specprof.engine.observe.evidence import short
from specprof.engine.recheck.processed import (
    MAX_CLEAN_GAP,
    Processing,
    coarser,
    find_processing,
    max_rounding,
    variation,
)
from specprof.engine.recheck.readings import Reading
from specprof.recheck_records import ProcessedRows


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
    dtype: torch.dtype,
    reading: Reading,
    raw: torch.Tensor | None = None,
) -> Compared:
    """Compare rows with recomputed ones, [n, vocab]; texts: the ids before each row.

    raw: [n, vocab], the recomputed ones before the loop's own processor, if it declared one.
    `dtype`: what the model computes in. Rows that are laws and that no processor explains are taken
    as they are, and have no gap.
    """
    rows, gaps, found, misread = reading.cut(clean), list[float | None](), list[Processing](), 0
    for number, (row, text) in enumerate(zip(used, texts, strict=True)):
        if row is None:
            gaps.append(None)
            continue
        shared = min(len(row), clean.shape[1])  # one may be padded further
        own, other = row[:shared].float().cpu(), clean[number, :shared]
        kind = coarser(row.dtype, dtype)
        gap, processing = _compare_row(own, other, text, kind, as_laws=reading.as_laws)
        if processing is not None or reading.as_laws:
            rows[number] = -torch.inf
            rows[number, :shared] = own
        if processing is not None:
            found.append(processing)
        off = processing.curved if processing else gap is not None and gap > MAX_CLEAN_GAP[kind]
        bare = None if raw is None else raw[number, :shared]
        if off and _is_misread(reading, own, (other, bare), text, kind):
            misread, gap = misread + 1, None
        gaps.append(None if gap is None or isnan(gap) else short(gap))
    if reading.as_laws:  # no loop's laws are raw
        return Compared(rows, gaps, None)
    compared = sum(each is not None for each in used)
    return Compared(rows, gaps, _summarise(model, compared, found, misread))


def _is_misread(
    reading: Reading,
    used: torch.Tensor,
    clean: tuple[torch.Tensor, torch.Tensor | None],
    text: Sequence[int],
    dtype: torch.dtype,
) -> bool:
    """Return whether a row [vocab] is as it was before the temperature or the processor.

    clean: the recomputed row, and what it was before the processor.
    """
    after, before = clean
    if reading.is_misread(used, after, text, max_rounding(dtype, after)):
        return True
    if before is None or reading.as_laws:
        return False
    everywhere = torch.ones_like(used, dtype=torch.bool)
    return variation(used, before, everywhere) <= MAX_CLEAN_GAP[dtype]


def _compare_row(
    used: torch.Tensor,
    clean: torch.Tensor,
    text: Sequence[int],
    dtype: torch.dtype,
    *,
    as_laws: bool,
) -> tuple[float | None, Processing | None]:
    """Return how far a row [vocab] is from the clean one, and what processor explains it."""
    gap = variation(used, clean, torch.ones_like(used, dtype=torch.bool))
    if not as_laws and gap <= MAX_CLEAN_GAP[dtype]:
        return gap, None
    processing = find_processing(used, clean, text, max_rounding(dtype, clean))
    if processing is not None:
        return processing.gap, processing
    return None if as_laws else gap, None


def _summarise(
    model: Literal["target", "draft"], compared: int, found: Sequence[Processing], misread: int
) -> ProcessedRows | None:
    """Return what was found in `compared` rows, None if nothing was."""
    if not found and not misread:
        return None
    return ProcessedRows(
        model,
        compared,
        len(found),
        max((each.ruled_out for each in found), default=0),
        max((each.moved for each in found), default=0),
        sum(each.curved for each in found),
        misread,
    )
