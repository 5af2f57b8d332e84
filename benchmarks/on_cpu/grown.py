"""How a pass's time grew with the text, compared with the least growth of its attention.

It works on times and counts, and measures nothing. Every ratio is made within a repetition, in
which both sides met the same state of the machine.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from on_cpu.due import LeastWork
from on_cpu.turns import PASSES, Floats

from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import median

MIN_ROW_GROWTH = 2
"""Growth is compared with the least growth from this many times the shortest context's rows on."""
GROWTH_NAMES = ("growth_ms", "least_growth_ms")
RATIO_NAMES = ("growth_over_least_growth", "growth_over_kernels_growth")


@dataclass(frozen=True, slots=True)
class Place:
    """Where passes are timed."""

    caches: str
    context: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass and all that it is compared with; times are [repetitions] milliseconds."""

    path: str
    place: Place
    what: str
    """One of `PASSES`."""
    due: LeastWork
    took: Floats
    kernel: Floats
    """Time of attention alone, by torch's own kernel."""
    reads: Floats
    """Time to read `due.read_bytes`."""
    computes: Floats
    """Time of `due.flops` at the pace of a large matrix product."""
    least: Floats
    """The longer of `reads` and `computes`; for several passes the sum of theirs."""
    least_attention: Floats
    """The least time of attention alone: its rows at the pace of the reads, or its flops."""

    @property
    def bound_by(self) -> str:
        """What takes longer in the median: `bytes` or `flops`."""
        return "bytes" if np.median(self.reads) >= np.median(self.computes) else "flops"


def make_passes(
    path: str, place: Place, dues: tuple[LeastWork, LeastWork], depth: int, times: dict[str, Floats]
) -> list[Pass]:
    """Return `PASSES` of a place: a draft step, a verify pass, and a round of `depth` and one.

    `times` holds [repetitions, 3] milliseconds of these passes under `took`, `kernel` and `reads`,
    and [repetitions] under `ms_per_flop`.
    """
    pace = times["ms_per_flop"]
    step, verify = (
        _make_single(path, place, number, due=dues[number], pace=pace, times=times)
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


def _make_single(
    path: str, place: Place, number: int, *, due: LeastWork, pace: Floats, times: dict[str, Floats]
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


def compare_growth(one: Pass, shortest: Pass) -> dict[str, Figure | None]:
    """Return how much a pass grew from the shortest context, and its ratio to the least growth.

    The ratios are None where attention sees hardly more rows, because the least growth is near 0.
    """
    if one is shortest:
        return dict.fromkeys(GROWTH_NAMES + RATIO_NAMES)
    took = one.took - shortest.took
    least = one.least_attention - shortest.least_attention
    found: dict[str, Figure | None] = {"growth_ms": median(took), "least_growth_ms": median(least)}
    if one.due.row_bytes < MIN_ROW_GROWTH * shortest.due.row_bytes:
        return found | dict.fromkeys(RATIO_NAMES)
    under = least, one.kernel - shortest.kernel
    return found | {name: _ratio(took, each) for name, each in zip(RATIO_NAMES, under, strict=True)}


def _ratio(over: Floats, under: Floats) -> Figure | None:
    """Return the median of the repetitions' ratios, without repetitions that divide by 0."""
    seen = under != 0
    return median(over[seen] / under[seen])


def summarise_pass(one: Pass, shortest: Pass) -> dict[str, Any]:
    """Return a pass's figures, named with their denominators."""
    return {
        "path": one.path,
        "caches": one.place.caches,
        "context": one.place.context,
        "what": one.what,
        **{f"least_{each.name}": getattr(one.due, each.name) for each in fields(LeastWork)},
        "bound_by": one.bound_by,
        "ms": median(one.took),
        "reads_ms": median(one.reads),
        "computes_ms": median(one.computes),
        "least_ms": median(one.least),
        "kernel_ms": median(one.kernel),
        "time_over_least_time": median(one.took / one.least),
        **compare_growth(one, shortest),
    }
