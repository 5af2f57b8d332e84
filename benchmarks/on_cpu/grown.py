"""How a pass's time grew with the text, held against what its attention had to grow by at least.

Knows times and counts, not who took them. Every ratio is made within a repetition, where both sides
saw the same state of the machine.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from on_cpu.due import Due
from on_cpu.turns import PASSES, Floats

from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import median

ENOUGH = 2
"""Times the rows of the shortest context from which growth is held against what it had to be."""
GROWN = ("growth_ms", "least_growth_ms")
OVER = ("growth_over_least_growth", "growth_over_kernels_growth")


@dataclass(frozen=True, slots=True)
class Place:
    """Where passes are timed."""

    caches: str
    context: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass and everything it is held against; times are [repetitions] milliseconds."""

    path: str
    place: Place
    what: str
    """One of `PASSES`."""
    due: Due
    took: Floats
    kernel: Floats
    """Attention alone, by torch's own kernel."""
    reads: Floats
    """Reading `due.read_bytes`."""
    computes: Floats
    """`due.flops` at the pace of a large matrix product."""
    least: Floats
    """Of one pass the longer of these two; of several the sum of theirs."""
    least_attention: Floats
    """The same of attention alone: its rows at the pace of the reads, or its flops."""

    @property
    def bound_by(self) -> str:
        """What takes longer, for the most part."""
        return "bytes" if np.median(self.reads) >= np.median(self.computes) else "flops"


def passes(
    path: str, place: Place, dues: tuple[Due, Due], depth: int, times: dict[str, Floats]
) -> list[Pass]:
    """Return `PASSES` of a place: a draft step, a verify pass, and `depth` with one of these.

    `times` are [repetitions, 3] milliseconds of these passes, by `took`, `kernel` and `reads`, and
    `ms_per_flop` [repetitions].
    """
    pace = times["ms_per_flop"]
    step, verify = (
        _single(path, place, number, due=dues[number], pace=pace, times=times)
        for number in range(len(dues))
    )
    whole = Pass(
        path,
        place,
        PASSES[2],
        sum([step.due] * depth, start=verify.due),
        times["took"][:, 2],
        times["kernel"][:, 2],
        depth * step.reads + verify.reads,
        depth * step.computes + verify.computes,
        depth * step.least + verify.least,
        depth * step.least_attention + verify.least_attention,
    )
    return [step, verify, whole]


def _single(
    path: str, place: Place, number: int, *, due: Due, pace: Floats, times: dict[str, Floats]
) -> Pass:
    reads, computes = times["reads"][:, number], due.flops * pace
    rows = reads * due.row_bytes / due.read_bytes
    return Pass(
        path,
        place,
        PASSES[number],
        due,
        times["took"][:, number],
        times["kernel"][:, number],
        reads,
        computes,
        np.maximum(reads, computes),
        np.maximum(rows, due.attention_flops * pace),
    )


def grown(one: Pass, shortest: Pass) -> dict[str, Figure | None]:
    """Return by how much a pass grew from the shortest context, and that over what it had to.

    The ratios are None where attention sees hardly more rows: there is nothing to divide by.
    """
    if one is shortest:
        return dict.fromkeys(GROWN + OVER)
    took = one.took - shortest.took
    least = one.least_attention - shortest.least_attention
    found: dict[str, Figure | None] = {"growth_ms": median(took), "least_growth_ms": median(least)}
    if one.due.row_bytes < ENOUGH * shortest.due.row_bytes:
        return found | dict.fromkeys(OVER)
    under = least, one.kernel - shortest.kernel
    return found | {name: _ratio(took, each) for name, each in zip(OVER, under, strict=True)}


def _ratio(over: Floats, under: Floats) -> Figure | None:
    """Return the median of the repetitions' ratios; one whose clock saw no growth has none."""
    seen = under != 0
    return median(over[seen] / under[seen])


def told(one: Pass, shortest: Pass) -> dict[str, Any]:
    """Return a pass's figures, named with their denominators."""
    return {
        "path": one.path,
        "caches": one.place.caches,
        "context": one.place.context,
        "what": one.what,
        **{f"least_{each.name}": getattr(one.due, each.name) for each in fields(Due)},
        "bound_by": one.bound_by,
        "ms": median(one.took),
        "reads_ms": median(one.reads),
        "computes_ms": median(one.computes),
        "least_ms": median(one.least),
        "kernel_ms": median(one.kernel),
        "time_over_least_time": median(one.took / one.least),
        **grown(one, shortest),
    }
