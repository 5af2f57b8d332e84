"""The request to a part, and its answer: rows of figures, each with its goal if it has one."""

import math
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from specprof.analysis.comparison import Figure
from specprof.cli._table import MISSING_TEXT, align_columns
from specprof.errors import SpecprofError
from specprof.settings import Settings

Bounds = dict[str, Any]
"""A row's goal: `at_least`, `at_most`, both or neither."""
NEEDS_CUDA = "needs CUDA"
TIME_SPENT = "the time was spent"
VERDICTS = {True: "met", False: "MISSED"}
OPEN = "open"
"""The verdict if an interval contains its goal's bound, or if there were too few plays for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. None means not known, and the note says why."""

    what: str
    figure: float | None = None
    unit: str
    low: float | None = None
    """Low end of a 95% interval, and `high` its high end; None with too few repetitions."""
    high: float | None = None
    n: int | None = None
    """Repetitions of the median; None if the figure is no median."""
    at_least: float | None = None
    at_most: float | None = None
    anywhere: bool = False
    """Whether the goal can be judged on any device; else only on CUDA."""
    note: str = ""

    @property
    def goal(self) -> str | None:
        """The bounds in words."""
        match self.at_least, self.at_most:
            case None, None:
                return None
            case None, most:
                return f"at most {most:g}"
            case least, None:
                return f"at least {least:g}"
            case least, most if least == most:
                return f"{least:g}"
            case least, most:
                return f"{least:g} to {most:g}"

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, by the whole interval if there is one, else by the figure.

        None: no goal, no figure, an interval that contains the goal's bound, or a median of too few
        repetitions for an interval.
        """
        if self.goal is None or self.figure is None or (self.n is not None and self.low is None):
            return None
        bounds = [each for each in (self.low, self.high) if each is not None] or [self.figure]
        lowest, highest = min(bounds), max(bounds)
        least = -math.inf if self.at_least is None else self.at_least
        most = math.inf if self.at_most is None else self.at_most
        if highest < least or lowest > most:
            return False
        return True if least <= lowest and highest <= most else None

    @property
    def verdict(self) -> str:
        """The result for the goal, in a word."""
        if self.met is not None:
            return VERDICTS[self.met]
        return MISSING_TEXT if self.goal is None or self.figure is None else OPEN


def figure_row(found: Figure | None, **said: object) -> Row:
    """Return the row of a figure with its interval; None makes a row without a figure."""
    if found is None:
        return Row(**said)  # type: ignore[arg-type]  # the fields of a Row
    bounded: dict[str, Any] = {"low": found.low, "high": found.high, "n": found.n}
    return Row(figure=found.value, **bounded, **said)  # type: ignore[arg-type]


def invert(found: Figure) -> Figure:
    """Return one over a ratio: a ratio of speeds becomes a ratio of times."""
    if found.low is None or found.high is None:
        return Figure(1 / found.value, n=found.n)
    return Figure(1 / found.value, 1 / found.high, 1 / found.low, found.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The request to a part."""

    device: torch.device
    reduced: bool
    folder: Path
    """Where captures and made-up configurations may be written."""
    target: str
    draft: str
    head: str
    """An EAGLE head of the target."""
    text: str | None
    until: float
    """`time.monotonic()` when the part should be done."""
    kept: dict[str, object] = field(default_factory=dict)
    """Details for the JSON file, beside the rows."""
    failures: list[str] = field(default_factory=list)
    """Errors that ended some of a part's rows but not the others."""

    @property
    def cuda(self) -> bool:
        """Whether the figures are a GPU's."""
        return self.device.type == "cuda"

    @property
    def left_s(self) -> float:
        """Seconds the part still has."""
        return self.until - time.monotonic()

    def few(self, full: int, reduced: int) -> int:
        """Return `full`, or `reduced` in the reduced form."""
        return reduced if self.reduced else full

    def settings(self, **changed: object) -> Settings:
        """Return settings of the requested pair for one burst after its text."""
        fixed = Settings(
            target=self.target,
            draft=self.draft,
            text=self.text,
            device=str(self.device),
            threads=1 if self.reduced else 0,
            workload="generate",
            context=self.few(512, 48),
            max_new_tokens=self.few(128, 8),
            ignore_eos=True,
            recheck_context=0,
            plain_steps=0,
        )
        return msgspec.structs.replace(fixed, **changed)


def guard_rows(ask: Ask, name: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows, or a row that says there was no time for them.

    An error, such as being out of memory, is kept in `ask.failures`, so that other rows go on.
    """
    if ask.left_s < 0:
        yield Row(what=f"{name}: not played", unit="", note=TIME_SPENT)
        return
    try:
        yield from rows
    except (RuntimeError, SpecprofError) as trouble:  # torch raises nothing more special
        traceback.print_exc()
        why = trouble.title if isinstance(trouble, SpecprofError) else str(trouble)
        said = f"{name}: {type(trouble).__name__}: {why.strip().partition(chr(10))[0]}"
        ask.failures.append(said)


def drop_foreign_goals(rows: Sequence[Row], *, cuda: bool, reduced: bool) -> list[Row]:
    """Return the rows without the goals that a rehearsal can't meet; a note says so."""
    if cuda and not reduced:
        return list(rows)
    why = "is not for the reduced form" if cuda else NEEDS_CUDA
    return [row if row.goal is None or row.anywhere else _drop_goal(row, why) for row in rows]


def _drop_goal(row: Row, why: str) -> Row:
    reason = "" if NEEDS_CUDA in row.note else f"its goal, {row.goal}, {why}"
    note = "; ".join(filter(None, (row.note, reason)))
    return replace(row, note=note, at_least=None, at_most=None)


def record(row: Row) -> dict[str, object]:
    """Return a row as JSON values, with its goal in words and whether that was met."""
    said = msgspec.to_builtins(row)
    return {**said, "goal": row.goal, "met": row.met, "verdict": row.verdict}


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines, with numbered notes below; an unknown figure is a dash."""
    notes = {note: place for place, note in enumerate(_notes(rows), start=1)}
    told = [
        (
            _format_figure(row),
            row.unit,
            row.goal or MISSING_TEXT,
            row.verdict,
            _format_mark(row, notes),
        )
        for row in rows
    ]
    grid = [["", *(row.what for row in rows)]]
    heads = ("figure", "unit", "goal", "", "")
    grid += [list(column) for column in zip(heads, *told, strict=True)]
    below = [f"[{place}] {note}" for note, place in notes.items()]
    return [*align_columns(grid, heads=1), *([""] if below else []), *below]


def _notes(rows: Sequence[Row]) -> list[str]:
    """Return the notes in order, each once."""
    return list(dict.fromkeys(row.note for row in rows if row.note))


def _format_mark(row: Row, notes: dict[str, int]) -> str:
    return f"[{notes[row.note]}]" if row.note else ""


def _format_figure(row: Row) -> str:
    if row.figure is None:
        return MISSING_TEXT
    figure = f"{row.figure:.4g}"
    bounded = row.low is not None and row.high is not None
    return f"{figure} [{row.low:.4g} {row.high:.4g}]" if bounded else figure
